#!/bin/sh
# Makes the vectors beside it with openssl alone: envelopes as other builders
# sign them, by a key of each kind. The keys are made anew each time.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
type=application/vnd.in-toto+json

# envelope KEY-FILE OUT PAYLOAD SIGN-ARGS...
envelope() {
  key=$1 out=$2 payload=$3
  shift 3
  printf 'DSSEv1 %d %s %d ' ${#type} "$type" "$(wc -c <"$payload")" >"$work/pae"
  cat "$payload" >>"$work/pae"
  openssl "$@" >"$work/sig"
  printf '{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"","sig":"%s"}]}\n' \
    "$(base64 -w0 <"$payload")" "$type" "$(base64 -w0 <"$work/sig")" >"$out"
  openssl pkey -in "$key" -pubout -out "${out%.json}.pub.pem"
}

printf 'the model\n' >"$work/model"
sum=$(sha256sum "$work/model" | cut -d' ' -f1)
printf 'the data\n' >"$work/data"
data=$(sha256sum "$work/data" | cut -d' ' -f1)
cat >"$work/v1" <<END
{"_type": "https://in-toto.io/Statement/v1",
 "subject": [{"name": "model.bin", "digest": {"sha256": "$sum"}}],
 "predicateType": "https://slsa.dev/provenance/v1",
 "predicate": {
  "buildDefinition": {"buildType": "https://example.com/train/v1", "externalParameters": {"epochs": 3, "rate": 0.5e-3, "seed": null},
   "resolvedDependencies": [
    {"uri": "git+https://example.com/train.git", "digest": {"gitCommit": "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"}},
    {"name": "data.csv", "digest": {"sha256": "$data"}}]},
  "runDetails": {"builder": {"id": "https://example.com/builder"}, "metadata": {"invocationId": "17"}}}}
END
cat >"$work/v02" <<END
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2",
 "subject": [{"name": "config.json", "digest": {"sha256": "$data"}}, {"name": "weights/model.bin", "digest": {"sha256": "$sum", "sha512": "00"}}],
 "predicate": {"builder": {"id": "https://example.com/old-builder"}, "buildType": "x", "materials": [{"uri": "file:data.csv", "digest": {"sha256": "$data"}}]}}
END
cat >"$work/other" <<END
{"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": "$sum"}}], "predicateType": "https://example.com/review/v1", "predicate": "anything"}
END

openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/p256"
envelope "$work/p256" p256.json "$work/v1" dgst -sha256 -sign "$work/p256" "$work/pae"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out "$work/p384"
envelope "$work/p384" p384.json "$work/v02" dgst -sha384 -sign "$work/p384" "$work/pae"
openssl genpkey -algorithm ED25519 -out "$work/ed25519"
envelope "$work/ed25519" ed25519.json "$work/other" pkeyutl -sign -rawin -in "$work/pae" -inkey "$work/ed25519"
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/rsa"
envelope "$work/rsa" rsa-pkcs1.json "$work/v1" dgst -sha256 -sign "$work/rsa" "$work/pae"
envelope "$work/rsa" rsa-pss.json "$work/v1" dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest -sign "$work/rsa" "$work/pae"
rm rsa-pss.pub.pem
mv rsa-pkcs1.pub.pem rsa.pub.pem
