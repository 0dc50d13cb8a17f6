package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// fill writes a file of random bytes.
func fill(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(rand.NewChaCha8([32]byte{1}), size), make([]byte, 1<<20)); err != nil {
		return err
	}
	return f.Close()
}

// tree writes files of random bytes, of least to most bytes each, in some
// folders, and returns how many bytes there are.
func tree(path string, files, least, most, folders int) (int64, error) {
	random := rand.NewChaCha8([32]byte{2})
	sizes := rand.New(rand.NewPCG(3, 4))
	buf := make([]byte, most)
	total := int64(0)
	for i := range folders {
		if err := os.MkdirAll(filepath.Join(path, fmt.Sprintf("part-%05d", i)), 0o777); err != nil {
			return 0, err
		}
	}
	for i := range files {
		data := buf[:least+sizes.IntN(most-least+1)]
		random.Read(data)
		if err := os.WriteFile(filepath.Join(path, fmt.Sprintf("part-%05d", i%folders), fmt.Sprintf("sample-%08d.bin", i)), data, 0o666); err != nil {
			return 0, err
		}
		total += int64(len(data))
	}
	return total, nil
}

// million measures the memory for a million small files, in a thousand folders
// and in one.
func (b *bench) million() error {
	const folders, each = 1000, 1000
	many, flat := filepath.Join(b.dir, "million"), filepath.Join(b.dir, "flat")
	if _, err := tree(many, folders*each, 32, 256, folders); err != nil {
		return err
	}
	if err := os.MkdirAll(flat, 0o777); err != nil {
		return err
	}
	// The same files once more under one folder: links cost no data.
	err := filepath.WalkDir(many, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.Link(path, filepath.Join(flat, d.Name()))
	})
	if err != nil {
		return err
	}
	fmt.Println("| a million files of 32 to 256 bytes | seconds | peak memory, MB |")
	fmt.Println("|---|---|---|")
	for _, c := range []struct{ name, path string }{{"in a thousand folders", many}, {"in one folder", flat}} {
		cmd := exec.Command(b.self, "-child", "sha256", c.path)
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		fmt.Printf("| %s | %.1f | %s |\n", c.name, time.Since(start).Seconds(), peak(cmd.ProcessState))
	}
	return nil
}

// machine describes what this runs on, in one line for each fact.
func machine() string {
	cpu := "processor unknown"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	facts := []string{
		fmt.Sprintf("- %s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpu),
		"- " + runtime.Version(),
	}
	for _, tool := range [][]string{{"openssl", "version"}, {"b3sum", "--version"}, {"uname", "-sr"}} {
		if out, err := exec.Command(tool[0], tool[1:]...).Output(); err == nil {
			facts = append(facts, "- "+strings.TrimSpace(string(out)))
		}
	}
	return strings.Join(facts, "\n")
}
