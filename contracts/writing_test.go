package contracts_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
)

var celBlock = regexp.MustCompile("(?s)```cel\n(.*?)\n```")

// Every expression of the page on writing contracts compiles, as a rule.
func TestWritingContracts(t *testing.T) {
	page, err := os.ReadFile("../docs/writing-contracts.md")
	if err != nil {
		t.Fatal(err)
	}
	const params = "  params: {riskOfficers: [rita], engineers: [eva], images: [x], onCall: [ona]}\n"
	blocks := celBlock.FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 12 {
		t.Errorf("the page has %d expressions", len(blocks))
	}
	for _, block := range blocks {
		yaml := ledgertest.Rule("page@1", "statements: [release, withdrawal]", block[1])
		yaml = strings.Replace(yaml, "  validations:\n", params+"  validations:\n", 1)
		if _, err := contract.Compile(ledgertest.Document(yaml)); err != nil {
			t.Errorf("%s\n%v", block[1], err)
		}
	}
}
