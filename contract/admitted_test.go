package contract

import (
	"errors"
	"reflect"
	"sync"
	"testing"
)

// TestCompileAdmitted: what was admitted is judged by as it was tested, and says
// nothing of tests that it did not read.
func TestCompileAdmitted(t *testing.T) {
	t.Parallel()
	document := spec{
		variables: []string{"who", "ledger.approvers(subject)"},
		rule:      "size(variables.who) >= 2",
		message:   `"found " + string(size(variables.who))`,
	}.document(t)
	tested, err := Compile(document)
	if err != nil {
		t.Fatal(err)
	}
	// Several are compiled at a time when a ledger is opened.
	var several sync.WaitGroup
	for range 4 {
		several.Go(func() {
			admitted, err := CompileAdmitted(document)
			if err != nil {
				t.Error(err)
				return
			}
			if admitted.ID() != tested.ID() || admitted.Digest() != tested.Digest() || !reflect.DeepEqual(admitted.Document().Validations, tested.Document().Validations) {
				t.Errorf("it is %s, want %s", admitted.ID(), tested.ID())
			}
			if results, err := admitted.RunTests(); !errors.Is(err, errUntested) || results != nil {
				t.Errorf("RunTests: %v, %v", results, err)
			}
			if n := len(admitted.Document().Tests); n > 0 {
				t.Errorf("it has %d tests", n)
			}
			if w := admitted.Warnings(); w != nil {
				t.Errorf("Warnings: %v", w)
			}
			in := tested.Document().Tests[0].Given.Input()
			want, err := tested.judgeGiven(in)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := admitted.judgeGiven(in)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%+v, %v, want %+v", got, err, want)
			}
		})
	}
	several.Wait()
	var problems *CompileError
	if _, err := CompileAdmitted(spec{rule: "subject.nam == ''"}.document(t)); !errors.As(err, &problems) {
		t.Errorf("a rule that does not compile: %v", err)
	}
}
