package source

// Disks are the ways of reading a disk that this system has, for the suite.
var Disks = map[string]func(path string, opts LocalOptions) (*Local, error){
	"fast":     OpenLocal,
	"portable": func(path string, opts LocalOptions) (*Local, error) { return openLocal(path, opts, newPortable) },
}

// AfterRead sets what is called between the reading of a small file and the
// check that it is unchanged.
func (s *Local) AfterRead(f func(path string)) { s.afterRead = f }
