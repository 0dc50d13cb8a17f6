package boundary

// The rules. Each has its reason; whoever changes one changes the reason too.

// module is the path of the main module.
const module = "github.com/stele-ml/stele"

// maxLines is the longest a file may be that is not a test: beyond it, it has
// more than one subject.
const maxLines = 500

// core are the packages that decide what is true. They take bytes and return
// values, so that the same verdict comes out in a terminal, on a server and
// in a browser, today and in ten years.
var core = []string{"internal/strictjson", "fingerprint", "statement", "lineage", "evidence"}

// flow is who may import whom among our own packages: inward only. A package
// that is not here has no place yet: give it one. A trailing /... names a
// folder and all in it.
var flow = map[string][]string{
	"internal/strictjson": {},
	"fingerprint":         {},
	"statement":           {"fingerprint", "internal/strictjson"},
	"lineage":             {"statement", "fingerprint"},
	"evidence":            {"lineage", "statement", "fingerprint", "internal/strictjson"},
	"contract":            {"lineage", "statement", "fingerprint", "internal/strictjson"}, // rules over a state that others bring
	"contracts":           {},                                                             // the ready ones: documents, embedded

	"internal/durable": {}, // files that survive a crash: knows nothing of ledgers
	"internal/source":  {"fingerprint"},
	"internal/hint":    {"fingerprint", "internal/source", "internal/durable"}, // the journal's lock
	"internal/shard":   {"fingerprint"},
	"internal/scan":    {"fingerprint", "internal/source", "internal/hint", "internal/shard"},
	"internal/audit":   {"fingerprint", "internal/source", "internal/scan", "internal/terminal"}, // it says numbers as people read them

	"internal/source/bucket": {"fingerprint", "internal/source"}, // what all object stores share; no SDK
	"internal/source/s3":     {"internal/source", "internal/source/bucket"},
	"internal/source/gcs":    {"internal/source", "internal/source/bucket"},
	"internal/source/azure":  {"internal/source", "internal/source/bucket"},
	"internal/place":         {"internal/source", "internal/source/..."}, // the only one that knows them all

	"internal/manifest":   {"fingerprint", "internal/source", "internal/hint", "cmd/stele/jsonv1"},                                                      // a manifest in a file: what it lists is also told in the published types
	"internal/collection": {"fingerprint", "statement", "internal/ledger", "internal/manifest", "internal/scan", "internal/source"},                     // stamps and manifests come in by functions
	"internal/watch":      {"fingerprint", "evidence", "internal/source", "internal/scan", "internal/hint", "internal/manifest", "internal/collection"}, // it looks; whoever asks reads and judges
	"internal/model":      {"internal/strictjson"},                                                                                                      // it reads headers
	"internal/process":    {},                                                                                                                           // it starts a command
	"internal/pending":    {"statement", "evidence", "internal/durable", "internal/home", "internal/source"},                                            // notes of runs: it neither starts nor submits one
	"internal/pin":        {"internal/source"},                                                                                                          // a copy of what is read
	"internal/observe":    {"fingerprint", "statement", "internal/source", "internal/scan"},                                                             // a dirty tree is fingerprinted
	"internal/oms":        {"fingerprint", "internal/source", "internal/scan", "internal/strictjson", "internal/keyfile"},
	"internal/provenance": {"fingerprint", "statement", "internal/strictjson", "internal/keyfile"},
	"internal/keyfile":    {}, // other people's public keys, as bytes

	"internal/draft":     {"internal/strictjson"},                                                                                                                        // YAML in, canonical JSON out
	"internal/report":    {},                                                                                                                                             // it writes what it is given
	"internal/ledger":    {"fingerprint", "statement", "lineage", "evidence", "contract"},                                                                                // no engine, no disk but its store
	"internal/account":   {"statement", "lineage", "evidence", "contract", "internal/ledger", "internal/terminal", "cmd/stele/jsonv1"},                                   // it reads a ledger, and says what it found to people and, in the published types, to programs
	"internal/gate":      {"fingerprint", "statement", "lineage", "evidence", "contract", "internal/ledger", "internal/account", "internal/report", "internal/terminal"}, // it judges: trust and manifests come in, findings go out
	"internal/stage":     {"statement", "lineage", "evidence", "internal/account", "internal/trace", "cmd/stele/jsonv1"},                                                 // what it finds is what --json says
	"internal/trace":     {"fingerprint", "statement", "lineage", "internal/ledger", "internal/account", "internal/terminal", "cmd/stele/jsonv1"},                        // what it draws is what --json says, so that both say the same
	"internal/foresight": {"statement", "contract", "internal/ledger", "internal/account"},                                                                               // it asks a ledger's contracts, and decides nothing
	"internal/guard":     {"fingerprint", "statement", "lineage", "evidence", "internal/ledger", "internal/account", "internal/terminal"},                                // verified evidence comes in; it starts nothing
	"internal/solo":      {"fingerprint", "statement", "evidence", "internal/ledger", "internal/durable", "internal/strictjson"},

	"internal/wire":     {"statement", "evidence", "fingerprint", "internal/strictjson"},                                                                                                                                      // what client and server say to each other
	"client":            {"fingerprint", "statement", "lineage", "evidence", "internal/wire", "internal/strictjson"},                                                                                                          // a public package: no ledger, no disk
	"internal/remote":   {"client", "fingerprint", "statement", "evidence", "lineage", "internal/ledger", "internal/wire", "internal/strictjson"},                                                                             // a server's store, checked
	"internal/spool":    {"statement", "fingerprint", "internal/durable"},                                                                                                                                                     // envelopes that wait, and what they name
	"internal/server":   {"fingerprint", "statement", "lineage", "evidence", "contract", "internal/ledger", "internal/wire", "internal/strictjson", "internal/source", "internal/place", "internal/durable", "internal/oidc"}, // the engine comes in by an interface
	"internal/api":      {"fingerprint", "statement", "lineage", "evidence", "contract", "internal/ledger", "internal/server", "internal/wire", "internal/strictjson"},                                                        // operations over a ledger; the engine comes in by an interface
	"internal/config":   {},                                                                                                                                                                                                   // one file, environment, flags
	"internal/oidc":     {"statement", "internal/strictjson"},                                                                                                                                                                 // a CI's token in, a delegation out
	"internal/witness":  {"evidence", "internal/durable"},                                                                                                                                                                     // checkpoints alone: it knows nothing of what a log holds
	"internal/cosign":   {"evidence", "internal/witness", "internal/durable"},                                                                                                                                                 // asks a log's witnesses, on and on
	"internal/static":   {"evidence", "internal/server", "internal/place"},                                                                                                                                                    // a log as files: the server's paths, written to a place
	"internal/replica":  {"client", "fingerprint", "statement", "evidence", "internal/ledger", "internal/solo", "internal/wire", "internal/durable", "internal/strictjson"},
	"internal/monitor":  {"statement", "evidence", "internal/strictjson"}, // any log's read paths: no client of ours is needed
	"internal/terminal": {},                                               // it shows what it is given
	"internal/home":     {"statement", "evidence", "internal/durable"},
	"internal/memory":   {"statement", "evidence", "internal/ledger", "internal/account", "internal/home", "internal/durable"}, // a ledger is shown to it: it asks nobody
	"internal/demo":     {"internal/model"},                                                                                    // it trains one
	"internal/release":  {},                                                                                                    // builds the archives; no part of the product
	"cmd/stele":         {"fingerprint", "statement", "lineage", "evidence", "contract", "contracts", "client", "internal/...", "cmd/stele/..."},
	"cmd/stele/jsonv1":  {}, // the types of --json stand alone: other programs import them
}

// measuring are programs that compare us with others. Nothing imports them and
// nobody installs them, so they may reach for whatever they measure.
const measuring = "bench"

// testSupport are packages that only tests import.
var testSupport = map[string]string{
	"internal/source/sourcetest":        "one suite holds every source to the interface's words",
	"internal/source/storetest":         "real object stores on loopback, and a proxy that fails",
	"internal/source/bucket/buckettest": "one suite holds every object store to the interface's words",
	"internal/ledger/ledgertest":        "a ledger that any test can have",
	"client/clienttest":                 "a network that fails",
	"contract/contracttest":             "made-up histories and rules, for a fixture and for a real ledger",
}

// coreStandard is the standard library that the core may import, and why.
// What is missing is missing on purpose: os, net, log and path/filepath are
// the world; crypto/rand and math/rand are chance, which comes in as an
// io.Reader; encoding/json takes what a strict parser must not.
var coreStandard = map[string]string{
	"bytes": "values", "cmp": "values", "errors": "values", "fmt": "values", "iter": "values", "maps": "values",
	"math": "numbers", "math/big": "numbers", "math/bits": "numbers", "slices": "values", "sort": "values",
	"strconv": "text", "strings": "text", "unicode": "text", "unicode/utf8": "text",
	"io":      "readers and writers that others open",
	"bufio":   "readers and writers that others open",
	"sync":    "buffers kept between calls",
	"hash":    "the interface of a hash",
	"time":    "durations and the writing of times; never the clock (see coreForbidden)",
	"context": "to be told to stop",

	"crypto": "names of hashes", "crypto/sha256": "SHA-256", "crypto/sha512": "SSHSIG hashes with it",
	"crypto/ecdsa": "P-256 signatures", "crypto/elliptic": "P-256 signatures", "crypto/ed25519": "Ed25519 signatures",
	"crypto/subtle": "comparing secrets", "crypto/x509": "SPKI and PKCS#8, the forms keys come in",
	"encoding/base64": "forms", "encoding/hex": "forms", "encoding/binary": "forms", "encoding/pem": "forms", "encoding/asn1": "forms",
}

// coreForbidden are functions of permitted packages that the core may not use.
var coreForbidden = map[string]string{
	"time.Now": "the clock", "time.Since": "the clock", "time.Until": "the clock", "time.Sleep": "the clock", "time.After": "the clock",
	"time.AfterFunc": "the clock", "time.Tick": "the clock", "time.NewTimer": "the clock", "time.NewTicker": "the clock",
	"time.Local": "the machine's zone", "time.LoadLocation": "the machine's zone",
	"fmt.Print": "standard output", "fmt.Println": "standard output", "fmt.Printf": "standard output",
	"fmt.Scan": "standard input", "fmt.Scanln": "standard input", "fmt.Scanf": "standard input",
	"x509.SystemCertPool": "the machine's trust",
}

// coreModules are the modules that the core may need, directly or not.
var coreModules = map[string]string{
	module:                               "ourselves",
	"golang.org/x/mod":                   "tlog and note: the log's mathematics, as the Go checksum database has them",
	"golang.org/x/crypto":                "SSH keys and SSHSIG; cryptobyte for DER",
	"golang.org/x/sys":                   "x/crypto and the BLAKE3 kernels ask which instructions the processor has",
	"lukechampine.com/blake3":            "BLAKE3",
	"github.com/zeebo/blake3":            "BLAKE3 of small inputs",
	"github.com/klauspost/cpuid/v2":      "the BLAKE3 kernels ask which instructions the processor has",
	"github.com/go-json-experiment/json": "strict JSON: duplicate names, case and trailing data are errors",
}

// doors are the packages that may import a module directly. One door each, so
// that what it costs and how it fails is known in one place.
var doors = map[string]struct {
	packages []string
	reason   string
}{
	"github.com/cockroachdb/pebble/v2":         {[]string{"internal/ledger", "internal/solo", "internal/durable", "internal/witness"}, "the store: written by the state machine, opened by the engine, its files by durable; a witness's files by durable too, through the same file system"},
	"github.com/aws/aws-sdk-go-v2":             {[]string{"internal/source/s3"}, "S3"},
	"github.com/aws/smithy-go":                 {[]string{"internal/source/s3"}, "S3: the SDK's errors and middleware"},
	"cloud.google.com/go/storage":              {[]string{"internal/source/gcs"}, "Google Cloud Storage"},
	"google.golang.org/api":                    {[]string{"internal/source/gcs"}, "Google Cloud Storage: options, errors, authenticated transport"},
	"github.com/googleapis/gax-go/v2":          {[]string{"internal/source/gcs"}, "Google Cloud Storage: retries"},
	"github.com/Azure/azure-sdk-for-go":        {[]string{"internal/source/azure"}, "Azure Blob Storage, and who may read it"},
	"github.com/sigstore/protobuf-specs":       {[]string{"internal/oms"}, "Sigstore bundles, by their own schema"},
	"google.golang.org/protobuf":               {[]string{"internal/oms"}, "Sigstore bundles: their JSON"},
	"cel.dev/cel-go":                           {[]string{"contract"}, "rules: parsed, checked, priced and evaluated in one place, whose settings are frozen"},
	"go.yaml.in/yaml/v3":                       {[]string{"internal/draft", "internal/config"}, "contracts as people write them; the configuration file"},
	"github.com/spf13/cobra":                   {[]string{"cmd/stele"}, "the command line"},
	"github.com/spf13/pflag":                   {[]string{"cmd/stele"}, "the command line"},
	"golang.org/x/term":                        {[]string{"internal/terminal"}, "what a terminal is and how wide"},
	"github.com/rivo/uniseg":                   {[]string{"internal/terminal"}, "how many columns a character takes"},
	"golang.org/x/sys":                         {[]string{"internal/terminal", "internal/source", "internal/durable", "internal/solo", "internal/home", "internal/process"}, "calls of the system: consoles, change times, locks, syncs, signals"},
	"github.com/go-json-experiment/json":       {[]string{"internal/strictjson"}, "all JSON from elsewhere passes one parser"},
	"lukechampine.com/blake3":                  {[]string{"fingerprint", "internal/oms"}, "hashes are chosen in one place; other people's model signatures choose theirs"},
	"github.com/zeebo/blake3":                  {[]string{"fingerprint"}, "hashes are chosen in one place"},
	"golang.org/x/crypto":                      {[]string{"statement", "cmd/stele", "internal/home", "internal/oms"}, "SSH keys; the command line reaches the agent; BLAKE2b of other people's model signatures"},
	"golang.org/x/mod":                         {[]string{"statement", "evidence", "internal/ledger", "internal/solo", "internal/account", "internal/witness", "internal/cosign", "internal/remote", "internal/replica", "internal/memory", "internal/monitor", "internal/wire", "internal/server", "client", "cmd/stele"}, "tlog's hashes and proofs, and notes: the words that these speak with each other"},
	"github.com/transparency-dev/formats":      {nil, "tests only: somebody else's encoder is there to disagree"},
	"github.com/transparency-dev/merkle":       {nil, "tests only: somebody else's verifier is there to disagree"},
	"github.com/prometheus/client_golang":      {[]string{"internal/server", "internal/witness"}, "what is counted, as Prometheus reads it"},
	"golang.org/x/time":                        {[]string{"internal/server"}, "how often somebody may ask"},
	"github.com/coreos/go-oidc/v3":             {[]string{"internal/oidc"}, "tokens of CI jobs, and the keys of their issuers"},
	"github.com/go-jose/go-jose/v4":            {nil, "tests only: an issuer of tokens on loopback"},
	"github.com/getkin/kin-openapi":            {nil, "tests only: somebody else's reader of the API's document"},
	"github.com/rogpeppe/go-internal":          {nil, "tests only: scripts"},
	"github.com/santhosh-tekuri/jsonschema/v6": {nil, "tests only: published schemas"},
}

// refusedNames say nothing about what is inside.
var refusedNames = []string{"util", "utils", "common", "helper", "helpers", "type", "types", "misc", "shared", "base", "lib", "core", "stuff"}
