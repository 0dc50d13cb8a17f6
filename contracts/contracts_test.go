package contracts_test

import (
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/contracts"
	"github.com/stele-ml/stele/internal/draft"
)

func compile(t *testing.T, name string) *contract.Contract {
	t.Helper()
	yaml, _, err := contracts.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := draft.Read(yaml)
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.Compile(d.Document)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOwnTests(t *testing.T) {
	for _, name := range contracts.Names() {
		t.Run(name, func(t *testing.T) {
			c := compile(t, name)
			for _, w := range c.Warnings() {
				t.Errorf("warning %s: %s: %s", w.Code, w.Path, w.Message)
			}
			results, err := c.RunTests()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if !r.OK {
					t.Errorf("%s: %s, want %v, got %v", r.Name, r.Message, r.Want, r.Got)
					for _, x := range r.Results {
						if !x.OK {
							t.Logf("  %s: %s %s", x.Rule, x.Message, x.Error)
						}
					}
				}
			}
		})
	}
}
