package terminal

import "golang.org/x/sys/windows"

// enableSequences asks a Windows console to interpret escape sequences, which
// it does only when told to, and reports whether it agreed.
func enableSequences(fd int) bool {
	var mode uint32
	h := windows.Handle(fd)
	if windows.GetConsoleMode(h, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
