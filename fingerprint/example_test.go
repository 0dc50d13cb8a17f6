package fingerprint_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
)

// The fingerprint of a folder: its files, in the byte order of their paths, which is not
// the order in which every walk of a disk finds them.
func ExampleTree() {
	t := fingerprint.NewTree(fingerprint.SHA256)
	for _, f := range []struct{ path, contents string }{
		{"config.json", "{}\n"},
		{"layers-1/weights", "w\n"}, // '-' comes before '/'
		{"layers/weights", "w\n"},
	} {
		file, err := fingerprint.SHA256.NewFile(f.path, strings.NewReader(f.contents))
		if err != nil {
			log.Fatal(err)
		}
		if err := t.Add(file); err != nil {
			log.Fatal(err)
		}
	}
	sum, err := t.Summary()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum.Fingerprint(fingerprint.SHA256), sum.Files, sum.Bytes)
	// Output: stele-sha256:5b50c91ee5949053384c3d93e218da745fe11cc72a002917b530815811f32df0 3 7
}
