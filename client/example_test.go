package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// Follow a ledger from where it was the last time.
func ExampleClient_Follow() {
	ctx := context.Background()
	trust, err := os.ReadFile("ledger.policy") // from whoever runs it, by a way you trust
	if err != nil {
		log.Fatal(err)
	}
	policy, err := evidence.ParsePolicy(trust)
	if err != nil {
		log.Fatal(err)
	}
	seen, err := os.ReadFile("seen")
	if err != nil && !errors.Is(err, os.ErrNotExist) { // there is nothing the first time
		log.Fatal(err)
	}

	c, err := client.New(client.Options{URL: "https://ledger.example", Token: os.Getenv("STELE_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	l, err := c.Follow(ctx, policy, evidence.Remembered{Signed: seen})
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		// Two checkpoints of one log that do not go together: keep both, trust neither.
		_ = os.WriteFile("fork.old", history.Old, 0o600)
		_ = os.WriteFile("fork.new", history.New, 0o600)
		log.Fatalf("%v: %s", err, history.Hint())
	}
	if err != nil {
		log.Fatal(err)
	}
	at, signed := l.Checkpoint()
	fmt.Println(at.Origin, "has", at.Size, "entries")
	if err := os.WriteFile("seen", signed, 0o600); err != nil {
		log.Fatal(err)
	}
}

// Go through what is new, as an auditor does: every entry is in the tree that the log
// signed, commits to the control entries before it, and is signed by a key that had
// standing and was allowed to.
func ExampleLog_Leaves() {
	var (
		l       *client.Log       // from Follow, as of now
		control *evidence.Control // of the entries before from: at first evidence.NewControl(); their leaves are few, keep them
		from    uint64            // where the last audit ended: at first 0
	)
	at, _ := l.Checkpoint()
	for leaf, err := range l.Leaves(context.Background(), from, at.Size) {
		if err != nil {
			log.Fatal(err)
		}
		entry, err := leaf.Entry()
		if err != nil {
			log.Fatal(err)
		}
		st, err := entry.Statement()
		if err != nil {
			log.Fatal(err)
		}
		if entry.ControlCount != control.Count() || entry.Index > 0 && entry.ControlRoot != control.Root() {
			log.Fatalf("entry %d does not follow from the control entries before it", entry.Index)
		}
		if st.Control() {
			err = control.Add(entry) // checks the signature and the rules as well
		} else {
			roster := control.Roster()
			key, _, ok := roster.Key(entry.Envelope.By())
			if !ok {
				log.Fatalf("entry %d is signed by a key that nobody registered", entry.Index)
			}
			err = errors.Join(entry.Envelope.Verify(key), roster.CheckEnvelope(entry.Index, entry.Time, entry.Envelope, st))
		}
		if err != nil {
			log.Fatalf("entry %d: %v", entry.Index, err)
		}
		fmt.Println(entry.Index, entry.When(), st.Kind)
	}
}

// Verify a model before it is served, and ask again while it is: what is withdrawn, or
// made of what is, is no longer served.
func ExampleLog_Evidence() {
	var (
		l        *client.Log // from Follow
		policy   *evidence.Policy
		contents *evidence.Contents // what the model's files are: see package fingerprint
	)
	ctx := context.Background()
	for {
		file, err := l.Evidence(ctx, "fraud/net", "3")
		switch {
		case errors.Is(err, client.ErrUnreachable):
			log.Print("nothing is known since the last time: ", err) // how long that may last is yours to say
		case err != nil:
			log.Fatal(err)
		default:
			v := evidence.Verify(file, policy, evidence.Options{
				Now: time.Now().UnixMilli(), Name: "fraud/net", Version: "3", Contents: contents,
			})
			if v.Verdict != evidence.Verified {
				log.Fatal(v)
			}
		}
		time.Sleep(time.Minute)
	}
}

// Ask the control entries alone, which are few: nothing that was withdrawn can be left
// out of them.
func ExampleLog_Control() {
	var (
		l     *client.Log     // from Follow
		parts []statement.Ref // the model, and all that it was made of: a verdict's Story names them
	)
	control, err := l.Control(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, ref := range parts {
		for _, w := range control.Withdrawals(ref) {
			if w.Stands() {
				log.Fatalf("%v is withdrawn in entry %d: %s", ref, w.Entry, w.Reason)
			}
		}
	}
	fmt.Println("the ledger", control.Ledger(), "has", control.Hash(), "fingerprints")
}

// Give a ledger a signed statement. What is acknowledged is in the log. What could not
// be given is kept, as it was signed, and given later.
func ExampleLog_Submit() {
	var (
		l   *client.Log         // from Follow
		env *statement.Envelope // from statement.Sign
	)
	receipt, err := l.Submit(context.Background(), env, client.SubmitOptions{})
	var refused *client.Error
	switch {
	case errors.Is(err, client.ErrRefused) && errors.As(err, &refused):
		log.Fatalf("refused by the rule %s: %v (%s)", refused.Problem.Rule, err, refused.Hint())
	case errors.Is(err, client.ErrUnreachable):
		// It may be written or not: the same envelope again is safe.
		body, err := env.MarshalJSON() // statement.ParseEnvelope reads it
		if err == nil {
			err = os.WriteFile(env.ID().String()+".json", body, 0o600)
		}
		if err != nil {
			log.Fatal(err)
		}
		return
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println("entry", receipt.Entry.Index)
}

// What a client accepts as an address.
func ExampleNew() {
	for _, address := range []string{"https://ledger.example", "unix:///run/stele/serve.sock", "http://127.0.0.1:7777", "http://ledger.example"} {
		_, err := client.New(client.Options{URL: address})
		fmt.Println(address, errors.Is(err, client.ErrAddress))
	}
	// Output:
	// https://ledger.example false
	// unix:///run/stele/serve.sock false
	// http://127.0.0.1:7777 false
	// http://ledger.example true
}
