package source

// Linked reports whether an object, as List passed it on, is reached through a
// symbolic link: the file is one, or lies in a folder that is. What the root
// itself is, or lies behind, does not count, nor does the link of a Hugging Face
// snapshot into the blobs of its repository, which is how that cache keeps a
// file.
func (s *Local) Linked(o Object) bool {
	switch pin := o.Pin.(type) {
	case *folder:
		return pin.links > 0
	case *linkedFile:
		return s.single == "" && (s.blobs == "" || !inside(s.blobs, pin.real))
	}
	return false
}
