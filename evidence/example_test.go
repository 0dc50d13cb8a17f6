package evidence_test

import (
	"fmt"
	"log"
	"os"

	"github.com/stele-ml/stele/evidence"
)

// Check an evidence file offline: trust comes from a trust file, never from the evidence.
func ExampleVerify() {
	trust, err := os.ReadFile("testdata/lineage.policy")
	if err != nil {
		log.Fatal(err)
	}
	policy, err := evidence.ParsePolicy(trust)
	if err != nil {
		log.Fatal(err)
	}
	data, err := os.ReadFile("testdata/lineage.evidence.json")
	if err != nil {
		log.Fatal(err)
	}
	file, err := evidence.Parse(data)
	if err != nil {
		log.Fatal(err)
	}
	v := evidence.Verify(file, policy, evidence.Options{Name: file.Claim.Name, Version: file.Claim.Version})
	fmt.Println(v.Verdict, v.Stamp.Name+"@"+v.Stamp.Version, "as of", v.AsOf.Size, "entries")
	for _, told := range v.Story {
		if told.Bound {
			fmt.Println(" ", told.Depth, told.Name+"@"+told.Version)
		}
	}
	fmt.Println("trusting nobody:", evidence.Verify(file, nil, evidence.Options{}).Verdict)
	// Output:
	// verified scans/small@1 as of 10 entries
	//   0 scans/small@1
	//   1 scans/model@1
	//   2 scans/all@1
	//   3 scans/labels@1
	//   3 scans/raw@1
	// trusting nobody: untrusted
}
