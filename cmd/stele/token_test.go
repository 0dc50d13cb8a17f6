package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestTokensAtOnce: commands that change the file at the same time take turns, and none
// loses what another wrote.
func TestTokensAtOnce(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "-q")
	const many = 16
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			cmd := p.command("token", "new", fmt.Sprintf("t%d", i), "-q")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("t%d: %v: %s", i, err, out)
			}
		})
	}
	wg.Wait()
	if got := strings.Count(p.must("token", "list"), " active "); got != many {
		t.Errorf("%d tokens, want %d", got, many)
	}
}
