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
	// it leaves 3,955 bytes of an entry to a delegation: [MaxDelegation].
	MaxPayload = 56 << 10
	// MaxSignature is the largest signature, which is an SSHSIG by an RSA key.
	MaxSignature = 4096
	// MaxDSSE is the largest envelope in its JSON form: base64 makes 4 bytes of 3.
	MaxDSSE = 90 << 10
	// MaxDepth is how deep the JSON of an envelope or statement may nest.
	MaxDepth = 8
	// MaxContractDepth is the same of a statement with a contract in it, whose
	// document nests.
	MaxContractDepth = 16
	// maxDocumentDepth is what of it is left to the document, which stands in the
	// predicate of a statement.
	maxDocumentDepth = MaxContractDepth - 2

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

	// MaxReferences is how many artifacts a statement may refer to: a stamp in
	// "from", a run in its inputs and outputs together, an evaluation in its
	// datasets, an import in its inputs.
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

	// MaxContract is the largest document of a contract, in its canonical form. It
	// fits a payload with 8 KiB to spare.
	MaxContract = 48 << 10
	// MaxContractVersion is the highest version of a contract.
	MaxContractVersion = 1_000_000_000

	// MaxStage is the longest name of a stage.
	MaxStage = 64
	// MaxReplaces is how many artifacts a release may replace.
	MaxReplaces = 16
	// MaxMetrics is how many metrics an evaluation may have.
	MaxMetrics = 64
	// MaxMetricName is the longest name of a metric.
	MaxMetricName = 64
	// MaxDecimal is the longest decimal number.
	MaxDecimal = 32
	// MaxDecimalDigits is how many significant digits a decimal number may have:
	// so many go through an IEEE 754 double and come out the same.
	MaxDecimalDigits = 15
	// MaxLocks is how many lock files a run may name.
	MaxLocks = 32
	// MaxLockPath is the longest path of a lock file.
	MaxLockPath = 1024
	// MaxRemote is the longest URL of a git remote.
	MaxRemote = 2048
	// MaxImageName is the longest name of a container image.
	MaxImageName = 512
	// MaxIgnored is how many ignored paths an import may name.
	MaxIgnored = 256
	// MaxIgnoredPath is the longest of them.
	MaxIgnoredPath = 1024
	// MaxURI is the longest predicate type, builder id, or certificate's subject
	// of an import.
	MaxURI = 1024

	// MaxDetails is the largest details document.
	MaxDetails = 1 << 20
)
