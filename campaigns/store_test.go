package campaigns

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flipvisor/flipvisor/inject"
)

func record(index int) *Record {
	return &Record{Wall: time.Duration(index) * time.Millisecond, Result: inject.Result{
		Index: index, Group: "g", Outcome: inject.Masked,
		Fault:     inject.Fault{Kind: inject.Null, Trigger: inject.Trigger{Reason: inject.AnyExit}},
		Lifecycle: inject.Lifecycle{Applied: &inject.Point{At: uint64(index)}},
	}}
}

func TestLinesReadBack(t *testing.T) {
	want := record(7)
	line, err := encodeLine(want)
	if err != nil {
		t.Fatal(err)
	}
	const text = `{"index":7,"group":"g","fault":"flip nothing at instruction 0","place":{},"outcome":"masked",` +
		`"applied":{"at":7,"rip":"0x0","mode":"any"},"fate":"untouched","blast":{},"wall_us":7000,"crc":"` // and the checksum
	if !strings.HasPrefix(string(line), text) || !strings.HasSuffix(string(line), "\"}\n") {
		t.Errorf("line %s", line)
	}
	got, err := decodeLine(bytes.TrimSuffix(line, []byte("\n")))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func open(t *testing.T, dir string) (*Store, error) {
	t.Helper()
	return OpenStore(dir, Manifest{Campaign: "c", Digest: "d", Golden: "g", File: "c.hcl"}, []byte("source"))
}

// filled is a folder with five results.
func filled(t *testing.T) (dir, results string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "out")
	s, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := s.Append(record(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.writeJSON(goldenFile, GoldenSummary{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, resultsFile)
}

// Wherever a results file is cut, everything before the cut is kept, a
// reader is told, and a writer goes on.
func TestCutOffAnywhere(t *testing.T) {
	dir, results := filled(t)
	whole, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(results, whole[:cut], 0o666); err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(whole[:cut], []byte("\n"))
		clean := cut == 0 || whole[cut-1] == '\n'
		_, err := ReadStore(dir)
		if clean != (err == nil) {
			t.Fatalf("cut at %d: read with error %v", cut, err)
		}
		var d *Damage
		if !clean && (!errors.As(err, &d) || d.Line != lines+1 || !strings.Contains(err.Error(), results)) {
			t.Fatalf("cut at %d: %v", cut, err)
		}

		s, err := open(t, dir)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if len(s.Records) != lines || (s.Recovered == nil) != clean {
			t.Fatalf("cut at %d: %d results, recovered %v", cut, len(s.Records), s.Recovered)
		}
		if err := errors.Join(s.Append(record(9)), s.Close()); err != nil {
			t.Fatal(err)
		}
		if after, err := ReadStore(dir); err != nil || len(after.Records) != lines+1 {
			t.Fatalf("cut at %d: afterwards %v", cut, err)
		}
	}
}

func TestDamageInTheMiddle(t *testing.T) {
	dir, results := filled(t)
	whole, err := os.ReadFile(results)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	tests := []struct {
		name string
		text []byte
		want string
	}{
		{"a changed byte", bytes.Replace(whole, []byte(`"at":1,`), []byte(`"at":2,`), 1), "results.jsonl:2: damaged: the checksum does not fit"},
		{"a line of something else", append([]byte("hello\n"), whole...), "results.jsonl:1: damaged: no checksum"},
		{"a line twice", append(bytes.Clone(whole), lines[3]...), "results.jsonl:6: experiment 3 is already on line 4"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(results, tt.text, 0o666); err != nil {
				t.Fatal(err)
			}
			_, readErr := ReadStore(dir)
			_, openErr := open(t, dir)
			for _, err := range []error{readErr, openErr} {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %s", err, tt.want)
				}
			}
			after, err := os.ReadFile(results)
			if err != nil || !bytes.Equal(after, tt.text) {
				t.Error("the file was changed")
			}
		})
	}
}

// fullDisk takes some bytes and no more.
type fullDisk struct {
	*os.File
	room int
}

func (f *fullDisk) Write(p []byte) (int, error) {
	if len(p) <= f.room {
		f.room -= len(p)
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:f.room])
	f.room = 0
	return n, errors.Join(err, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC})
}

func TestFullDisk(t *testing.T) {
	dir, _ := filled(t)
	s, err := open(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	line, err := encodeLine(record(5))
	if err != nil {
		t.Fatal(err)
	}
	disk := &fullDisk{s.results.(*os.File), len(line) + 10}
	s.results = disk
	if err := s.Append(record(5)); err != nil {
		t.Fatal(err)
	}
	err = s.Append(record(6))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "results.jsonl") {
		t.Errorf("error %v", err)
	}
	if err := s.Append(record(7)); err == nil {
		t.Error("still full, no error")
	}
	disk.room = 1 << 20
	if err := errors.Join(s.Append(record(8)), s.Close()); err != nil {
		t.Fatal(err)
	}
	after, err := ReadStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	var indices []int
	for _, r := range after.Records {
		indices = append(indices, r.Index)
	}
	if d := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 8}, indices); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestFoldersThatAreNone(t *testing.T) {
	if _, err := ReadStore(filepath.Join(t.TempDir(), "nothing")); err == nil || !strings.Contains(err.Error(), "is not a results folder") {
		t.Errorf("error %v", err)
	}
	dir, _ := filled(t)
	for _, tt := range []struct{ file, text, want string }{
		{goldenFile, "{", "golden.json: unexpected end"},
		{manifestFile, `{"file": "../../etc/passwd"}`, "is not the name of a file in this folder"},
		{manifestFile, `{"format": 99, "file": "c.hcl"}`, "has format 99"},
	} {
		if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadStore(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %s", tt.file, err, tt.want)
		}
	}
}

func FuzzReadResults(f *testing.F) {
	line, err := encodeLine(record(3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add(append(bytes.Clone(line), line[:20]...))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), resultsFile)
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
		records, size, _ := readResults(path)
		if size > int64(len(text)) {
			t.Fatalf("%d bytes of whole lines in %d", size, len(text))
		}
		if _, err := ResultsDigest(records); err != nil {
			t.Fatal(err)
		}
	})
}
