package statement

import "github.com/stele-ml/stele/fingerprint"

// Limits. All lengths are in bytes of UTF-8 unless said otherwise. They are part
// of the formats: raising one needs an upgrade of the ledger's rules.
const (
	// MaxEntry is the largest leaf of the log: a C2SP tlog-tiles entry has a
	// 16-bit length.
	MaxEntry = 65535
	// MaxEnvelope is the largest envelope in its binary form: what an entry has
	// beside its own 71 bytes ("stele entry v1\n", index, time, control count and
	// root).
	MaxEnvelope = MaxEntry - 71
	// MaxPayload is the largest payload of an envelope. With the largest signature
	// it leaves 3,955 bytes of an entry to a delegation.
	MaxPayload = 56 << 10
	// MaxSignature is the largest signature, which is an SSHSIG by an RSA key.
	MaxSignature = 4096
	// MaxDSSE is the largest envelope in its JSON form: base64 makes 4 bytes of 3.
	MaxDSSE = 84 << 10
	// MaxDepth is how deep the JSON of an envelope or statement may nest.
	MaxDepth = 8

	// MaxName is the longest name of an artifact, and of a pattern.
	MaxName = 255
	// MaxVersion is the longest version.
	MaxVersion = 128
	// MaxHandle is the longest handle.
	MaxHandle = 64
	// MaxOrigin is the longest origin of a log.
	MaxOrigin = 255
	// MaxReason is the longest reason.
	MaxReason = 1024
	// MaxLocation is the longest location.
	MaxLocation = 2048

	// MaxReferences is how many artifacts a stamp may refer to in "from".
	MaxReferences = 100
	// MaxMembers is how many artifacts a stamp may collect. Collections nest.
	MaxMembers = 100
	// MaxPrefix is the longest prefix of a collection's member, its "/" left out.
	MaxPrefix = fingerprint.MaxPath - 1
	// MaxAnnotations is how many annotations a stamp may carry.
	MaxAnnotations = 32
	// MaxAnnotationKey is the longest key of an annotation.
	MaxAnnotationKey = 64
	// MaxAnnotationValue is the longest value of an annotation.
	MaxAnnotationValue = 1024
	// MaxIgnoreRules is how many ignore rules a stamp may bind.
	MaxIgnoreRules = 256
	// MaxIgnoreRule is the longest ignore rule.
	MaxIgnoreRule = 1024
	// MaxPatterns is how many name patterns an identity may have.
	MaxPatterns = 64
	// MaxAdministrators is how many administrators a genesis may name.
	MaxAdministrators = 32
	// MaxPublicKey is the longest public key in its text form.
	MaxPublicKey = 4096

	// MaxDetails is the largest details document.
	MaxDetails = 1 << 20
)
