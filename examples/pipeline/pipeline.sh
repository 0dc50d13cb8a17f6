#!/bin/bash
# From raw data to production, each step signed and in the log.
#
#   RAW=raw VERSION=2026-11-22 ./pipeline.sh WORK
#
# RAW is a folder with .csv files whose last column is 0 or 1, on the disk; WORK
# is made. A ledger and a key must be there: `stele init`. APPROVER and RELEASER
# are the names of keys that approve and release, where they are not yours.
set -euo pipefail

: "${RAW:?the folder with the raw data}"
: "${VERSION:=$(date -u +%Y-%m-%d)}"
: "${ROUNDS:=200}"
: "${LEAST_AUC:=0.95}"
work=${1:?a folder for what is made}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$work"

say() { printf '\n== %s\n' "$*"; }

say "the raw data, as it came"
stele stamp "$RAW" --as "lab/raw@$VERSION" --yes

# Each step: what goes in, what comes out, the command. If a step fails, it is on
# the record as a failed run, and set -e ends the pipeline here.
say "clean"
stele run --input "lab/raw@$VERSION=$RAW" --output "lab/clean@$VERSION=$work/clean" \
  -- python3 "$here/clean.py" "$RAW" "$work/clean"

say "split"
stele run --input "lab/clean@$VERSION=$work/clean" \
  --output "lab/train@$VERSION=$work/train" --output "lab/test@$VERSION=$work/test" \
  -- python3 "$here/split.py" "$work/clean" "$work/train" "$work/test"

say "train"
stele run --input "lab/train@$VERSION=$work/train" --output "lab/net@$VERSION=$work/net" \
  --kind model --param "rounds=$ROUNDS" \
  -- python3 "$here/train.py" "$work/train" "$work/net" --rounds "$ROUNDS"

say "evaluate, on rows that it has not seen"
python3 "$here/evaluate.py" "$work/net" "$work/test" | tee "$work/metrics"
metrics=()
while read -r metric; do metrics+=(--metric "$metric"); done <"$work/metrics"
stele record evaluation "lab/net@$VERSION" --dataset "lab/test@$VERSION" "${metrics[@]}"

# A gate of the simplest kind. What is not good enough is rejected on the record,
# with the reason.
auc=$(sed -n 's/^auc=//p' "$work/metrics")
if awk -v a="$auc" -v least="$LEAST_AUC" 'BEGIN { exit !(a < least) }'; then
  say "not good enough"
  stele approve "lab/net@$VERSION" --stage production --reject \
    --reason "auc $auc is below $LEAST_AUC" ${APPROVER:+--key "$APPROVER"} --yes
  exit 1
fi

say "approve and release"
stele approve "lab/net@$VERSION" --stage production ${APPROVER:+--key "$APPROVER"} --yes
# What is there now leaves with the same entry. A stage that nothing was released
# to is not found (5); one whose model is tainted ends with 4, and is listed.
stage=$(stele status --stage production --json) || [[ $? == [45] ]]
replaces=()
while read -r old; do replaces+=(--replaces "$old"); done < <(python3 -c '
import json, sys
for a in json.loads(sys.argv[1]).get("artifacts", []):
    if a["name"] == "lab/net":
        print(a["name"] + "@" + a["version"])' "$stage")
stele release "lab/net@$VERSION" --stage production ${replaces[@]+"${replaces[@]}"} \
  ${RELEASER:+--key "$RELEASER"} --yes

say "what made it"
stele trace "lab/net@$VERSION" --up
