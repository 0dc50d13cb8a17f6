package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// Follow a ledger from where it was the last time, and go through what is new.
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
	seen, _ := os.ReadFile("seen") // nothing, the first time

	c, err := client.New(client.Options{URL: "https://ledger.example", Token: os.Getenv("STELE_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	l, err := c.Follow(ctx, policy, evidence.Remembered{Signed: seen})
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		// Two checkpoints of one log that do not go together: keep both, trust neither.
		log.Fatalf("%v\n%s\n%s", err, history.Old, history.New)
	}
	if err != nil {
		log.Fatal(err)
	}
	at, signed := l.Checkpoint()
	for leaf, err := range l.Leaves(ctx, 0, at.Size) {
		if err != nil {
			log.Fatal(err)
		}
		entry, err := leaf.Entry() // in the tree that the log signed
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.Index, entry.When())
	}
	if err := os.WriteFile("seen", signed, 0o600); err != nil {
		log.Fatal(err)
	}
}

// Give a ledger a signed statement. What is acknowledged is in the log.
func ExampleLog_Submit() {
	var (
		l   *client.Log         // from Follow
		env *statement.Envelope // from statement.Sign
	)
	ctx := context.Background()
	receipt, err := l.Submit(ctx, env, client.SubmitOptions{})
	var refused *client.Error
	switch {
	case errors.Is(err, client.ErrRefused) && errors.As(err, &refused):
		log.Fatalf("refused by the rule %s: %v (%s)", refused.Problem.Rule, err, refused.Hint())
	case errors.Is(err, client.ErrUnreachable):
		log.Fatal("it may be written or not; the same envelope again is safe: ", err)
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println("entry", receipt.Entry.Index, "existed before:", receipt.Existed)
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
