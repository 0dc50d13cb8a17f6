package witness

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/stele-ml/stele/evidence"
)

const (
	// MaxLogs is the most logs of one witness.
	MaxLogs = 4096

	// MaxLogKeys is the most keys of one log at a time: more than one is for
	// the days of a rotation.
	MaxLogKeys = 4

	// MaxLogsFile is the longest file of logs, in bytes.
	MaxLogsFile = 4 << 20
)

// ParseLogs parses a file of logs: lines "log <verifier key> [<URL>]" as a trust
// file has them, empty lines, and comments, which begin with "#". The URL is not
// looked at. A log whose key changes has a line for each
// key meanwhile. CheckLogs holds for what it returns.
func ParseLogs(data []byte) ([]evidence.VKey, error) {
	if len(data) > MaxLogsFile {
		return nil, fmt.Errorf("file of logs: %w: longer than %d bytes", ErrFormat, MaxLogsFile)
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		return nil, fmt.Errorf("file of logs: %w: the last line does not end with a newline; is the file cut short?", ErrFormat)
	}
	var logs []evidence.VKey
	for n, line := range bytes.Split(data, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		words := strings.Fields(text)
		if len(words) != 2 && len(words) != 3 || words[0] != "log" {
			return nil, fmt.Errorf("file of logs, line %d: %w: want \"log\" and a verifier key, have %.80q", n+1, ErrFormat, text)
		}
		k, err := evidence.ParseVKey(words[1])
		if err != nil {
			return nil, fmt.Errorf("file of logs, line %d: %w", n+1, err)
		}
		logs = append(logs, k)
	}
	return logs, CheckLogs(logs)
}

// CheckLogs reports whether those keys can be a witness's logs: keys of logs,
// none twice, and none of two logs, for then one could speak for the other.
func CheckLogs(logs []evidence.VKey) error {
	owner := map[[32]byte]string{}
	count := map[string]int{}
	for _, k := range logs {
		if k.Type != evidence.LogKeyType {
			return fmt.Errorf("log %s: %w: signature type 0x%02x is a witness's; a log's key has 0x%02x", k.Name, ErrKeys, byte(k.Type), byte(evidence.LogKeyType))
		}
		if at, ok := owner[k.Public]; ok {
			return fmt.Errorf("log %s: %w: it has the same key as %s", k.Name, ErrKeys, at)
		}
		owner[k.Public] = "log " + k.Name
		if count[k.Name]++; count[k.Name] > MaxLogKeys {
			return fmt.Errorf("log %s: %w: more than %d keys", k.Name, ErrKeys, MaxLogKeys)
		}
	}
	if len(count) > MaxLogs {
		return fmt.Errorf("%w: %d logs, the limit is %d", ErrFormat, len(count), MaxLogs)
	}
	return nil
}
