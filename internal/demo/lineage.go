package demo

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
)

// The second half of the story: models, what made them, and what is in
// production.

const (
	october  = "clinic/wdbc@2026-10-01"
	trainSet = "clinic/train@2026-11-01"
	testSet  = "clinic/test@2026-11-01"
	oldModel = "clinic/net@1"
	newModel = "clinic/net@2"
	// octoberParts is how many of the measurements' files there were a month
	// before.
	octoberParts = "part-0[0-5].csv"
)

// lastMonth puts a first model into production, and gives two more people keys.
func (s *Story) lastMonth(ctx context.Context) error {
	s.title("Last month's model is in production")
	s.say("It was trained on the rows of October. `stele run` puts on the record what went\nin, which command ran, and what came out:")
	parts, err := filepath.Glob(filepath.Join(s.pristine(), "measurements", octoberParts))
	if err != nil {
		return err
	}
	to := filepath.Join(s.work, "october", "measurements")
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, p := range parts {
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(p)), text, 0o644); err != nil {
			return err
		}
	}
	if err := s.quietly(ctx, s.work, "stele stamp october --as "+october); err != nil {
		return err
	}
	if err := s.run(ctx, s.work, 0, "stele run --input "+october+"=october --output "+oldModel+"=net-1 --kind model -- stele demo-train october/measurements net-1"); err != nil {
		return err
	}
	s.say("\nThree more people get keys of their own: bea and dan may approve, cleo may\nrelease. (What these commands print is left out.)")
	for _, p := range []struct{ handle, role string }{{"bea", "approver"}, {"dan", "approver"}, {"cleo", "releaser"}} {
		if err := s.quietly(ctx, s.work,
			"stele key new "+p.handle,
			"stele key request --key "+p.handle+" --handle "+p.handle+" -o "+p.handle+".json",
			"stele key add "+p.handle+".json --role "+p.role+" --names 'clinic/*'",
		); err != nil {
			return err
		}
	}
	return s.quietly(ctx, s.work,
		"stele approve "+oldModel+" --stage production --key bea",
		"stele approve "+oldModel+" --stage production --key dan",
		"stele release "+oldModel+" --stage production --key cleo",
	)
}

// train makes the new model of the new data, and measures it.
func (s *Story) train(ctx context.Context) error {
	s.title("A new model, of the new data")
	const split = "stele run --input " + artifact + "=training --output " + trainSet + "=split/train --output " + testSet + "=split/test -- stele demo-split training split"
	s.say("Not of altered data: what a run is given is verified before it starts.")
	if err := s.run(ctx, s.work, 125, split); err != nil {
		return err
	}
	if err := os.RemoveAll(s.data); err != nil {
		return err
	}
	if err := os.CopyFS(s.data, os.DirFS(s.pristine())); err != nil {
		return err
	}
	s.say("\nThe copy from before is put back in its place. A fifth of the rows is held out,\nas a dataset of its own; a logistic regression is trained on the others:")
	if err := s.run(ctx, s.work, 0, split); err != nil {
		return err
	}
	if err := s.run(ctx, s.work, 0, "stele run --input "+trainSet+"=split/train --output "+newModel+"=net-2 --kind model --param rounds=2000 -- stele demo-train split/train net-2"); err != nil {
		return err
	}
	s.say("\nHow good is it, on rows that it has not seen?")
	var metrics bytes.Buffer
	if err := s.runInto(ctx, s.work, 0, "stele demo-evaluate net-2 split/test", &metrics); err != nil {
		return err
	}
	record := "stele record evaluation " + newModel + " --dataset " + testSet
	for _, m := range strings.Fields(metrics.String()) {
		record += " --metric " + m
	}
	return s.run(ctx, s.work, 0, record)
}

// rule puts a contract in force, and meets it with one approval too few.
func (s *Story) rule(ctx context.Context) error {
	s.title("A rule for production, which nobody can forget")
	s.say("A contract is a file of rules with tests of their own. Ready ones come with\nstele; put on the ledger, it binds everybody from the next entry on:")
	for _, line := range []string{
		"stele contract new two-approvals",
		"stele contract put two-approvals.yaml",
	} {
		if err := s.run(ctx, s.work, 0, line); err != nil {
			return err
		}
	}
	s.say("\nbea approves the new model, and cleo is in a hurry:")
	if err := s.quietly(ctx, s.work, "stele approve "+newModel+" --stage production --key bea"); err != nil {
		return err
	}
	return s.run(ctx, s.work, 4, release)
}

// release puts the new model in the old one's place.
const release = "stele release " + newModel + " --stage production --replaces " + oldModel + " --key cleo"

func (s *Story) release(ctx context.Context) error {
	s.title("Approved by two, released by a third")
	for _, line := range []string{
		"stele approve " + newModel + " --stage production --key dan",
		release,
		"stele status --stage production",
	} {
		if err := s.run(ctx, s.work, 0, line); err != nil {
			return err
		}
	}
	return nil
}

// walkBack goes from the release to the data, on the ledger and without it.
func (s *Story) walkBack(ctx context.Context) error {
	s.title("What made it? From production back to the data")
	if err := s.run(ctx, s.work, 0, "stele trace "+newModel+" --up"); err != nil {
		return err
	}
	s.title("The same for the auditor, offline")
	s.say("One file has the whole story, each step signed, and the proof that no patients'\nlist was in any of the data behind the model:")
	if err := os.CopyFS(filepath.Join(s.receiver, "net-2"), os.DirFS(filepath.Join(s.work, "net-2"))); err != nil {
		return err
	}
	if err := s.run(ctx, s.work, 0, "stele prove "+newModel+" --absent measurements/patients.csv -o ../auditor/net.json"); err != nil {
		return err
	}
	return s.run(ctx, s.receiver, 0, "stele verify --evidence net.json --trust clinic.policy net-2")
}

// callAtNight withdraws the data, sees how far that reaches, and goes back.
func (s *Story) callAtNight(ctx context.Context) error {
	s.title("3 a.m.: the labels of November are in doubt")
	s.say("What would it reach, if the data were withdrawn? Nothing is written yet:")
	const withdraw = "stele withdraw " + artifact + " --reason 'labels in doubt'"
	if err := s.run(ctx, s.work, 0, withdraw+" --dry-run"); err != nil {
		return err
	}
	s.say("\nWithdrawn. It is one entry; what follows from it needs no other:")
	if err := s.run(ctx, s.work, 0, withdraw); err != nil {
		return err
	}
	if err := s.run(ctx, s.work, 4, "stele status --stage production"); err != nil {
		return err
	}
	s.say("\nThe model's files are what they were. Would they still be let in? The gate asks,\nbefore a deployment does; it writes nothing and needs no key:")
	if err := s.run(ctx, s.work, 4, "stele gate "+newModel+" --stage production --by cleo net-2"); err != nil {
		return err
	}
	s.title("Back to the model that is clean")
	for _, line := range []string{
		"stele rollback clinic/net --stage production --key cleo --reason 'labels in doubt'",
		"stele status --stage production",
	} {
		if err := s.run(ctx, s.work, 0, line); err != nil {
			return err
		}
	}
	s.say("\nClean as far as the ledger knows: October's files have fingerprints of their\nown. Whether their labels are in doubt as well is for people to say.")
	return nil
}
