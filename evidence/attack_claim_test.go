package evidence

import "testing"

// The claim is about another entry, name, version, fingerprint or kind.
func TestAttackOtherClaim(t *testing.T) {
	l := newLedger(t, "claim")
	d, d2 := testData(t, 1), testData(t, 2)
	e := l.stamp(l.member, d, "scans/train", "1")
	e2 := l.stamp(l.member, d2, "scans/train", "2")
	signed := l.checkpoint()
	for name, change := range map[string]func(c *Claim){
		"another version":     func(c *Claim) { c.Version = "2" },
		"another name":        func(c *Claim) { c.Name = "scans/test" },
		"another fingerprint": func(c *Claim) { c.Fingerprint = d2.fp },
		"another entry":       func(c *Claim) { c.Entry = e2.Index },
		"no entry":            func(c *Claim) { c.Entry = 0 },
		"a control entry":     func(c *Claim) { c.Entry = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Collect(l, signed, Claim{Entry: e.Index, Name: "scans/train", Version: "1", Fingerprint: d.fp}, nil, 1, e2.Index)
			if err != nil {
				t.Fatal(err)
			}
			want(t, Verify(f, l.policy(), Options{}), Verified)
			change(&f.Claim)
			want(t, Verify(f, l.policy(), Options{}), Tampered, CheckClaim)
		})
	}
}

// Presence and absence are claimed with the proof of something else.
func TestAttackForgedPaths(t *testing.T) {
	l, f, p, d := sample(t)
	other := testData(t, 9)
	for name, c := range map[string]struct {
		change func(c *Claim)
		failed []string
	}{
		"absence of what is there":  {func(c *Claim) { c.Paths[0].Present = false }, []string{CheckPathAbsent, CheckRange}},
		"presence of what is not":   {func(c *Claim) { c.Paths[1].Present = true }, []string{CheckPathPresent}},
		"another path, present":     {func(c *Claim) { c.Paths[0].Path = "part-02.csv" }, []string{CheckPathPresent, CheckRange}},
		"another path, absent":      {func(c *Claim) { c.Paths[1].Path = "part-04.csv" }, []string{CheckPathAbsent}},
		"a proof of the other":      {func(c *Claim) { c.Paths[1].Proof = c.Paths[0].Proof }, []string{CheckPathAbsent}},
		"presence in other data":    {func(c *Claim) { c.Paths[0] = other.path(t, "part-03.csv", true) }, []string{CheckPathPresent, CheckRange}},
		"absence in other data":     {func(c *Claim) { c.Paths[1] = other.path(t, "patients.csv", false) }, []string{CheckPathAbsent}},
		"garbage":                   {func(c *Claim) { c.Paths[0].Proof = []byte("x") }, []string{CheckPathPresent, CheckRange}},
		"a range of other bytes":    {func(c *Claim) { c.Ranges[0].Data[4] ^= 1 }, []string{CheckRange}},
		"another range":             {func(c *Claim) { c.Ranges[0].End++ }, []string{CheckRange}},
		"a range of other data":     {func(c *Claim) { c.Ranges[0] = other.byteRange(t, "part-03.csv", 3, 9) }, []string{CheckRange}},
		"a range of another file":   {func(c *Claim) { c.Ranges[0] = d.byteRange(t, "part-04.csv", 3, 9); c.Ranges[0].Path = "part-03.csv" }, []string{CheckRange}},
		"a range of no proven file": {func(c *Claim) { c.Ranges[0] = d.byteRange(t, "part-04.csv", 3, 9) }, []string{CheckRange}},
		"a range of what is not":    {func(c *Claim) { c.Ranges[0].Path = "patients.csv" }, []string{CheckRange}},
	} {
		t.Run(name, func(t *testing.T) {
			g := must(Parse(must(f.Marshal())))
			c.change(&g.Claim)
			want(t, Verify(g, p, options(l, d)), Tampered, c.failed...)
		})
	}
}
