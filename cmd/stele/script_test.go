package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
)

// scriptCommands are what scripts can say besides testscript's own commands.
// In brackets: optional. A leading ! means that it must not hold.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"agree":    cmdAgree,    // agree WORD NAME@VERSION PATH [advise] every verb has that word on an artifact, and ends as it should
	"as":       cmdAs,       // as NAME                      go on as that person: another home, other keys, other trust
	"status":   cmdStatus,   // status N COMMAND [ARG…]       run it; its exit status must be N
	"json":     cmdJSON,     // [!] json FILE PATH [VALUE]    what stands at PATH of a JSON file (or stdout)
	"save":     cmdSave,     // save VAR FILE PATH            put what stands at PATH into a variable
	"typed":    cmdTyped,    // typed FILE TYPE               every object is a jsonv1.TYPE, and has no field besides
	"edit":     cmdEdit,     // edit FILE OLD NEW             replace the only OLD in a file
	"forge":    cmdForge,    // forge FILE HOW [ARG…]         change an evidence file as one who knows the format: its sum is right again
	"capture":  cmdCapture,  // capture VAR FILE REGEXP       put its first group into a variable
	"until":    cmdUntil,    // until N COMMAND [ARG…]        run it again and again until its exit status is N
	"flip":     cmdFlip,     // flip FILE OFFSET              invert a byte (negative: from the end)
	"truncate": cmdTruncate, // truncate FILE SIZE            cut (negative: so many bytes off)
	"random":   cmdRandom,   // random FILE SIZE [SEED]       write bytes that only the seed decides
	"copy":     cmdCopy,     // copy FROM TO                  a whole tree, TO must not exist
	"put":      cmdPut,      // put FILE TEXT                 write TEXT and a newline, folders as needed; Go escapes
	"names":    cmdNames,    // names DIR HEX…                make files whose names are these bytes
	"deep":     cmdDeep,     // deep DIR N LENGTH             folders in folders, N deep, names so long, a file in the last
	"longarg":  cmdLongArg,  // [!] longarg N COMMAND [ARG…]  run it with a last argument of N characters
	"socket":   cmdSocket,   // socket PATH                   listen there until the script ends
	"get":      cmdGet,      // [!] get URL                   fetch it; stdout is the body
	"await":    cmdAwait,    // await FILE REGEXP [VAR]       until FILE holds it; VAR becomes its first group
	"agent":    cmdAgent,    // agent                         a running ssh-agent, until the script ends
	"screen":   cmdScreen,   // screen COMMAND [ARG…]         run it in a terminal of 80 by 24: no line wraps; stdout is what it shows
	"store":    cmdStore,    // store SCHEME VAR [versioned]  a bucket of its own in a running object store; VAR is its address
	"upload":   cmdUpload,   // upload FROM URL               a file, or a whole folder
	"erase":    cmdErase,    // erase URL                     delete one object
	"publish":  cmdPublish,  // publish URL                   let anybody read the bucket
	"shellof":  cmdShellOf,  // shellof YAML FILE             the shell that a Kubernetes Job's container runs
	"vector":   cmdVector,   // vector PACKAGE/NAME FILE      a file that other tools signed, of internal/oms or internal/provenance
	"modelsig": cmdModelSig, // modelsig FOLDER FILE PUBKEY [IGNORED…]  a model signature by another tool
	"dsse":     cmdDSSE,     // dsse STATEMENT FILE PUBKEY    an in-toto statement signed by another builder
	"certify":  cmdCertify,  // certify CERT KEY [NAME…]      a certificate of 127.0.0.1, or of these names, that is its own authority
	"walk":     cmdWalk,     // walk FILE [HEADING [OLD=NEW…]] run a document's commands below HEADING; without it, all were run
	"typing":   cmdTyping,   // typing KEYS COMMAND [ARG…]    the same, and type KEYS once it asks
}

// scriptCondition knows, besides testscript's own, [root], [mounts], [devfull]
// and [store:SCHEME]: that store's program is here.
func scriptCondition(cond string) (bool, error) {
	if scheme, ok := strings.CutPrefix(cond, "store:"); ok {
		return hasStore(scheme), nil
	}
	switch cond {
	case "root":
		return os.Geteuid() == 0, nil
	case "mounts": // a private mount namespace may be made
		return exec.Command("unshare", "-m", "true").Run() == nil, nil
	case "devfull":
		info, err := os.Stat("/dev/full") // a device; a plain file of that name would take all
		return err == nil && info.Mode()&fs.ModeCharDevice != 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

func usage(ts *testscript.TestScript, ok bool, text string) {
	if !ok {
		ts.Fatalf("usage: %s", text)
	}
}

func cmdAs(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "as NAME")
	home := filepath.Join(ts.Getenv("WORK"), ".home", args[0])
	ts.Check(os.MkdirAll(home, 0o755))
	for name, value := range homeOf(home) {
		ts.Setenv(name, value)
	}
}

func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "status N COMMAND [ARG…]")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := exitStatus(ts, args[1:])
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// exitStatus runs a command to its end.
func exitStatus(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	return 0
}

// readJSON reads one value, or several as a list. Duplicate names are for
// parsers to refuse; here the last one counts.
func readJSON(ts *testscript.TestScript, file string) any {
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	dec.UseNumber()
	var all []any
	for {
		var v any
		err := dec.Decode(&v)
		if err == io.EOF {
			break
		}
		if err != nil {
			ts.Fatalf("%s is not JSON: %v", file, err)
		}
		all = append(all, v)
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

var pathStep = regexp.MustCompile(`^(?:\.([A-Za-z0-9_]+)|\[(\d+)\]|\[([a-zA-Z]+)=([^\]]*)\]|\.(#))`)

// lookup follows a path: .name, [2] (or a line of a list), [name=value] the
// first object with that field, .# the length.
func lookup(v any, path string) (any, bool, error) {
	for path != "" && path != "." {
		m := pathStep.FindStringSubmatch(path)
		if m == nil {
			return nil, false, fmt.Errorf("bad path at %q", path)
		}
		path = path[len(m[0]):]
		list, isList := v.([]any)
		switch {
		case m[1] != "":
			object, _ := v.(map[string]any)
			next, ok := object[m[1]]
			if !ok {
				return nil, false, nil
			}
			v = next
		case m[2] != "":
			i, err := strconv.Atoi(m[2])
			if err != nil {
				return nil, false, err
			}
			if !isList && i == 0 { // a list of one line
				break
			}
			if !isList || i >= len(list) {
				return nil, false, nil
			}
			v = list[i]
		case m[3] != "":
			found := false
			if !isList {
				list = []any{v}
			}
			for _, item := range list {
				if object, _ := item.(map[string]any); !found && object != nil && fmt.Sprint(object[m[3]]) == m[4] {
					v, found = item, true
				}
			}
			if !found {
				return nil, false, nil
			}
		default:
			switch x := v.(type) {
			case []any:
				v = len(x)
			case map[string]any:
				v = len(x)
			default:
				return nil, false, nil
			}
		}
	}
	return v, true, nil
}

// jsonText is how scripts write a value: strings bare, the rest as JSON.
func jsonText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) == 2 || len(args) == 3, "[!] json FILE PATH [VALUE]")
	v, ok, err := lookup(readJSON(ts, args[0]), args[1])
	ts.Check(err)
	switch {
	case len(args) == 2 && ok == neg:
		ts.Fatalf("%s: there is %s", args[1], map[bool]string{true: "such a value: " + jsonText(v), false: "none"}[ok])
	case len(args) == 3 && !ok && !neg:
		ts.Fatalf("%s: there is none, want %s", args[1], args[2])
	case len(args) == 3 && ok && (jsonText(v) == args[2]) == neg:
		ts.Fatalf("%s is %s, want %s%s", args[1], jsonText(v), map[bool]string{true: "not "}[neg], args[2])
	}
}

func cmdSave(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 3, "save VAR FILE PATH")
	v, ok, err := lookup(readJSON(ts, args[1]), args[2])
	ts.Check(err)
	if !ok {
		ts.Fatalf("%s: there is none", args[2])
	}
	ts.Setenv(args[0], jsonText(v))
}

// jsonTypes are the documented types of --json.
var jsonTypes = map[string]any{
	"AnnouncedAudit": jsonv1.AnnouncedAudit{}, "Artifact": jsonv1.Artifact{}, "Audit": jsonv1.Audit{}, "Diff": jsonv1.Diff{}, "Entry": jsonv1.Entry{}, "Failure": jsonv1.Failure{}, "File": jsonv1.File{},
	"Fingerprint": jsonv1.Fingerprint{}, "Fsck": jsonv1.Fsck{}, "Init": jsonv1.Init{}, "Key": jsonv1.Key{}, "Manifest": jsonv1.Manifest{},
	"Prove": jsonv1.Prove{}, "Run": jsonv1.Run{}, "RunID": jsonv1.RunID{}, "Shard": jsonv1.Shard{}, "Stamp": jsonv1.Stamp{}, "Trace": jsonv1.Trace{}, "Trust": jsonv1.Trust{}, "Verify": jsonv1.Verify{}, "Written": jsonv1.Written{},
	"Guard": jsonv1.Guard{}, "NewToken": jsonv1.NewToken{}, "TokenState": jsonv1.TokenState{},
	"Decided": jsonv1.Decided{}, "Gate": jsonv1.Gate{}, "Evaluated": jsonv1.Evaluated{}, "Status": jsonv1.Status{}, "Withdrew": jsonv1.Withdrew{},
	"Contract": jsonv1.Contract{}, "ContractTest": jsonv1.ContractTest{}, "ContractWritten": jsonv1.ContractWritten{}, "ContractDiff": jsonv1.ContractDiff{}, "ContractTemplate": jsonv1.ContractTemplate{},
	"Adoption":     jsonv1.Adoption{},
	"ExportInToto": jsonv1.ExportInToto{}, "ExportOMS": jsonv1.ExportOMS{}, "Import": jsonv1.Import{}, "VerifyOMS": jsonv1.VerifyOMS{},
}

func cmdTyped(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2 && jsonTypes[args[1]] != nil, "typed FILE TYPE")
	text := ts.ReadFile(args[0])
	if strings.TrimSpace(text) == "" {
		ts.Fatalf("nothing was printed")
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		into := reflect.New(reflect.TypeOf(jsonTypes[args[1]])).Interface()
		dec := json.NewDecoder(strings.NewReader(line)) // one object a line
		dec.DisallowUnknownFields()
		if err := dec.Decode(into); err != nil {
			ts.Fatalf("line %d is no %s: %v", i+1, args[1], err)
		}
		if _, err := dec.Token(); err != io.EOF {
			ts.Fatalf("line %d: more than one object", i+1)
		}
	}
}

func cmdEdit(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 3, "edit FILE OLD NEW")
	text := ts.ReadFile(args[0])
	if n := strings.Count(text, args[1]); n != 1 {
		ts.Fatalf("%s holds %q %d times", args[0], args[1], n)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o644))
}

// cmdForge is the attacker who has read docs/formats: parse, change, write
// again with a sum that fits.
func cmdForge(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "forge FILE HOW [ARG…]")
	f, err := evidence.Parse([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	number := func(i int) int {
		usage(ts, len(args) > i, "forge FILE "+args[1]+" NUMBER")
		n, err := strconv.Atoi(args[i])
		ts.Check(err)
		return n
	}
	word := func(i int) string {
		usage(ts, len(args) > i, "forge FILE "+args[1]+" WORD")
		return args[i]
	}
	switch args[1] {
	case "drop-control": // leave a control entry out
		n := number(2)
		f.Control = slices.Delete(f.Control, n, n+1)
	case "swap-control":
		n := number(2)
		f.Control[n], f.Control[n+1] = f.Control[n+1], f.Control[n]
	case "flip-control":
		f.Control[number(2)][number(3)] ^= 1
	case "flip-leaf":
		f.Entries[number(2)].Leaf[number(3)] ^= 1
	case "flip-proof":
		f.Entries[number(2)].Proof[0][0] ^= 1
	case "last": // pretend that the log ended at the claim's entry
		f.Last = f.Entries[number(2)]
	case "strip": // leave out the lineage, and what may stand in the file with it alone
		f.Claim.Lineage, f.Claim.Absent, f.Claim.Paths, f.Claim.Ranges, f.Attachments = false, nil, nil, nil, nil
		f.Entries = slices.DeleteFunc(f.Entries, func(p evidence.Proven) bool {
			e, err := evidence.ParseEntry(p.Leaf)
			return err == nil && e.Index != f.Claim.Entry
		})
	case "drop-entry": // leave an entry out
		n := number(2)
		f.Entries = slices.Delete(f.Entries, n, n+1)
	case "of": // claim a path proof of another artifact
		f.Claim.Paths[number(2)].Of = word(3)
	case "drop-path":
		n := number(2)
		f.Claim.Paths = slices.Delete(f.Claim.Paths, n, n+1)
	case "version": // claim another version
		f.Claim.Version = word(2)
	case "fingerprint":
		f.Claim.Fingerprint, err = fingerprint.Parse(word(2))
		ts.Check(err)
	case "present": // claim the contrary of what a path proof proves
		f.Claim.Paths[number(2)].Present = !f.Claim.Paths[number(2)].Present
	case "path": // claim a proof for another path
		f.Claim.Paths[number(2)].Path = word(3)
	case "flip-range":
		f.Claim.Ranges[number(2)].Data[number(3)] ^= 1
	case "flip-attachment":
		f.Attachments[number(2)].Data[number(3)] ^= 1
	case "checkpoint": // another signed note
		f.Checkpoint = []byte(ts.ReadFile(word(2)))
	case "edit-checkpoint":
		var lines [2]string
		for i := range lines {
			lines[i], err = strconv.Unquote(`"` + word(2+i) + `"`)
			ts.Check(err)
		}
		f.Checkpoint = []byte(strings.Replace(string(f.Checkpoint), lines[0], lines[1], 1))
	case "ledger":
		f.Ledger[0] ^= 1
	default:
		ts.Fatalf("forge: no way called %s", args[1])
	}
	data, err := f.Marshal()
	if err != nil {
		ts.Fatalf("the forged file cannot be written: %v", err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}

func cmdCapture(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 3, "capture VAR FILE REGEXP")
	re, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	m := re.FindStringSubmatch(ts.ReadFile(args[1]))
	if len(m) < 2 {
		ts.Fatalf("%s does not hold %s", args[1], args[2])
	}
	ts.Setenv(args[0], m[1])
}

func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "until N COMMAND [ARG…]")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	poll(ts, strings.Join(args[1:], " ")+" ends with "+args[0], func() bool { return exitStatus(ts, args[1:]) == want })
}

func cmdFlip(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "flip FILE OFFSET")
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	name := ts.MkAbs(args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	if at < 0 || at >= len(data) {
		ts.Fatalf("%s has %d bytes", args[0], len(data))
	}
	data[at] ^= 0xff
	info, err := os.Stat(name)
	ts.Check(err)
	ts.Check(os.WriteFile(name, data, info.Mode()))
}

func cmdTruncate(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "truncate FILE SIZE")
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	name := ts.MkAbs(args[0])
	info, err := os.Stat(name)
	ts.Check(err)
	if size < 0 {
		size += info.Size()
	}
	ts.Check(os.Truncate(name, size))
}

func cmdRandom(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && (len(args) == 2 || len(args) == 3), "random FILE SIZE [SEED]")
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	seed := [32]byte{}
	if len(args) == 3 {
		copy(seed[:], args[2])
	}
	data := make([]byte, size)
	_, err = rand.NewChaCha8(seed).Read(data)
	ts.Check(err)
	name := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	ts.Check(os.WriteFile(name, data, 0o644))
}

func cmdCopy(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "copy FROM TO")
	from, to := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		ts.Fatalf("%s is there already", args[1])
	}
	ts.Check(filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, info.Mode().Perm())
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, info.Mode().Perm())
	}))
}

func cmdPut(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "put FILE TEXT")
	text, err := strconv.Unquote(`"` + args[1] + `"`)
	ts.Check(err)
	name, err := strconv.Unquote(`"` + args[0] + `"`)
	ts.Check(err)
	name = ts.MkAbs(name)
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	ts.Check(os.WriteFile(name, []byte(text+"\n"), 0o644))
}

func cmdNames(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "names DIR HEX…")
	for _, text := range args[1:] {
		name, err := hex.DecodeString(text)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[0])+"/"+string(name), []byte("x"), 0o644))
	}
}

func cmdDeep(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 3, "deep DIR N LENGTH")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	length, err := strconv.Atoi(args[2])
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	root, err := os.OpenRoot(dir)
	ts.Check(err)
	defer func() { root.Close() }()
	for range n { // step by step: the whole path is longer than the system takes
		name := strings.Repeat("d", length)
		ts.Check(root.Mkdir(name, 0o755))
		next, err := root.OpenRoot(name)
		ts.Check(err)
		root.Close()
		root = next
	}
	ts.Check(root.WriteFile("file", []byte("x"), 0o644))
}

func cmdLongArg(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) >= 2, "[!] longarg N COMMAND [ARG…]")
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	long := strings.Repeat("x", n)
	if args[len(args)-1] == "--annotation" {
		long = "k=" + long
	}
	if got := exitStatus(ts, append(args[1:len(args):len(args)], long)); (got != 0) != neg {
		ts.Fatalf("exit status %d", got)
	}
}

func cmdSocket(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "socket PATH")
	// By a short relative name: a socket's address has about 100 bytes.
	dir, err := os.MkdirTemp("", "s")
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	ts.Check(err)
	ts.Check(os.Rename(filepath.Join(dir, "s"), ts.MkAbs(args[0])))
	ts.Defer(func() { l.Close() })
}

// patience bounds every wait for something that another process does.
const patience = 2 * time.Minute

// poll waits until ok holds, checking often; what names it in the failure.
func poll(ts *testscript.TestScript, what string, ok func() bool) {
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			ts.Fatalf("%s: not after %v", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && (len(args) == 2 || len(args) == 3), "await FILE REGEXP [VAR]")
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	name := ts.MkAbs(args[0])
	poll(ts, args[0]+" holds "+args[1], func() bool {
		data, _ := os.ReadFile(name)
		m := re.FindSubmatch(data)
		if m != nil && len(args) == 3 {
			ts.Setenv(args[2], string(m[len(m)-1]))
		}
		return m != nil
	})
}

func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) == 1, "[!] get URL")
	client := http.Client{Timeout: patience}
	answer, err := client.Get(args[0])
	ts.Check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	ts.Check(err)
	if ok := answer.StatusCode == http.StatusOK; ok == neg {
		ts.Fatalf("%s", answer.Status)
	}
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
}

func cmdAgent(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 0, "agent")
	dir, err := os.MkdirTemp("", "agent") // short: a socket's address has about 100 bytes
	ts.Check(err)
	socket := filepath.Join(dir, "s")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	ts.Check(agent.Start())
	ts.Defer(func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
		os.RemoveAll(dir)
	})
	poll(ts, "the ssh-agent listens", func() bool { _, err := os.Stat(socket); return err == nil })
	ts.Setenv("SSH_AUTH_SOCK", socket)
}

// cmdShellOf takes the only block of text among a manifest's "args": what
// Kubernetes would hand to the shell.
func cmdShellOf(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "shellof YAML FILE")
	_, block, ok := strings.Cut(ts.ReadFile(args[0]), "args:\n")
	if !ok || strings.Contains(block, "args:\n") {
		ts.Fatalf("%s has not exactly one args", args[0])
	}
	first, rest, _ := strings.Cut(block, "\n")
	if strings.TrimSpace(first) != "- |" || strings.Contains(first, "\t") {
		ts.Fatalf("args of %s do not begin with a block of text: %q", args[0], first)
	}
	indent := strings.Index(first, "-") + len("  ")
	var shell strings.Builder
	for line := range strings.Lines(rest) {
		text := strings.TrimLeft(line, " ")
		if len(line)-len(text) < indent && text != "\n" {
			break
		}
		shell.WriteString(line[min(indent, len(line)-1):])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(shell.String()), 0o644))
}
