package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stele-ml/stele/statement"
)

// cmdVector copies a file that other tools made: openssl, Python, b3sum.
func cmdVector(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "vector PACKAGE/NAME FILE")
	dir, name := filepath.Split(args[0])
	data, err := os.ReadFile(filepath.Join("..", "..", "internal", dir, "testdata", name))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))
}

// foreignEnvelope signs a payload with a new key, as other tools do, and writes
// the public key.
func foreignEnvelope(ts *testscript.TestScript, payload []byte, public string) map[string]any {
	const payloadType = "application/vnd.in-toto+json"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	sum := sha256.Sum256(statement.PAE(payloadType, payload))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	ts.Check(err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(public), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644))
	return map[string]any{"payload": payload, "payloadType": payloadType, "signatures": []any{map[string]any{"keyid": "", "sig": sig}}}
}

func writeJSON(ts *testscript.TestScript, file string, v any) {
	data, err := json.Marshal(v)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(file), data, 0o644))
}

// cmdDSSE signs a file's text as an in-toto statement. $FILE: in it stands for
// the SHA-256 of that file.
func cmdDSSE(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 3, "dsse STATEMENT FILE PUBLICKEY")
	text := os.Expand(ts.ReadFile(args[0]), func(name string) string {
		sum := sha256.Sum256([]byte(ts.ReadFile(name)))
		return hex.EncodeToString(sum[:])
	})
	writeJSON(ts, args[1], foreignEnvelope(ts, []byte(text), args[2]))
}

// cmdModelSig signs the files of a folder as a model signature that leaves out
// what it is told; a number is that many paths that are not there.
func cmdModelSig(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 3, "modelsig FOLDER FILE PUBLICKEY [IGNORED…]")
	var ignored []string
	for _, arg := range args[3:] {
		n, err := strconv.Atoi(arg)
		if err != nil {
			ignored = append(ignored, arg)
		}
		for i := range n {
			ignored = append(ignored, fmt.Sprintf("absent-%d", i))
		}
	}
	root, folder := sha256.New(), ts.MkAbs(args[0])
	var resources []any
	ts.Check(filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		name := filepath.ToSlash(rel)
		if err != nil || d.IsDir() || slices.ContainsFunc(ignored, func(i string) bool { return name == i || strings.HasPrefix(name, i+"/") }) {
			return err
		}
		data, err := os.ReadFile(path)
		sum := sha256.Sum256(data)
		root.Write(sum[:])
		resources = append(resources, map[string]any{"name": name, "algorithm": "sha256", "digest": hex.EncodeToString(sum[:])})
		return err
	}))
	payload, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": "model", "digest": map[string]any{"sha256": hex.EncodeToString(root.Sum(nil))}}},
		"predicateType": "https://model_signing/signature/v1.0",
		"predicate": map[string]any{"resources": resources, "serialization": map[string]any{
			"method": "files", "hash_type": "sha256", "allow_symlinks": false, "ignore_paths": ignored,
		}},
	})
	ts.Check(err)
	envelope := foreignEnvelope(ts, payload, args[2])
	sum := sha256.Sum256([]byte(ts.ReadFile(args[2])))
	writeJSON(ts, args[1], map[string]any{
		"mediaType":            "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": hex.EncodeToString(sum[:])}, "tlogEntries": []any{}},
		"dsseEnvelope":         envelope,
	})
}
