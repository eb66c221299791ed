package campaigns

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// The files of a results folder.
const (
	manifestFile = "manifest.json" // whose results these are
	goldenFile   = "golden.json"   // what is known of the run without a fault
	resultsFile  = "results.jsonl" // see lines.go; only ever appended to
	errorsFile   = "errors.log"    // what went wrong inside flipvisor, with stacks
	timingFile   = "timing.json"   // how long it took
	lockFile     = "lock"          // held by the one process that writes
	ReportFile   = "report.json"   // written by whoever makes reports
)

// manifestFormat changes when folders of before cannot be read any more.
const manifestFormat = 1

// Manifest says whose results are in a folder. Results of another campaign,
// seed, image or machine are never mixed in.
type Manifest struct {
	Format   int    `json:"format"`
	Campaign string `json:"campaign"`
	Digest   string `json:"digest"` // Campaign.Digest
	Golden   string `json:"golden"` // Golden.Digest: images, and the machine's behaviour
	Seed     int64  `json:"seed"`
	Samples  int    `json:"samples"` // as many as were asked for last
	// What only reports need, as it was asked for last.
	Description string `json:"description,omitempty"`
	Gate        Gate   `json:"gate"`
	// File is the copy of the campaign file in this folder; Folder is where
	// relative paths in it start from.
	File   string `json:"file"`
	Folder string `json:"folder"`
}

// differs says what makes two folders' results incomparable.
func (m *Manifest) differs(from *Manifest) error {
	switch {
	case m.Format != from.Format:
		return fmt.Errorf("its format is %d, this flipvisor writes %d", from.Format, m.Format)
	case m.Campaign != from.Campaign:
		return fmt.Errorf("they are of campaign %q, not %q", from.Campaign, m.Campaign)
	case m.Seed != from.Seed:
		return fmt.Errorf("they were drawn with seed %d, not %d", from.Seed, m.Seed)
	case m.Digest != from.Digest:
		return fmt.Errorf("campaign %q has changed since: its digest was %.12s, now it is %.12s", m.Campaign, from.Digest, m.Digest)
	case m.Golden != from.Golden:
		return fmt.Errorf("the hypervisor, a guest or flipvisor itself has changed since: "+
			"the run without a fault ended in state %.12s, now in %.12s", from.Golden, m.Golden)
	}
	return nil
}

// Damage is a results file whose last line was cut off.
type Damage struct {
	File   string
	Line   int   // its number, from 1
	Offset int64 // where it begins
	Bytes  int   // how much of it is there
}

func (d *Damage) Error() string {
	return fmt.Sprintf("%s:%d: the last line is cut off after %d bytes, at offset %d", d.File, d.Line, d.Bytes, d.Offset)
}

// Store is a results folder that is open for writing.
type Store struct {
	dir     string
	results resultsWriter
	size    int64 // of the whole lines in it
	lock    io.Closer
	// Records are the results that were there already.
	Records []Record
	// Recovered is the cut-off line that was removed, nil if there was none.
	Recovered *Damage
}

// resultsWriter is what a store needs of its results file.
type resultsWriter interface {
	io.WriteCloser
	Truncate(size int64) error
	Sync() error
}

// OpenStore opens a results folder, or makes one, for the campaign that the
// manifest describes. Source is the campaign file.
func OpenStore(dir string, m Manifest, source []byte) (*Store, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("results folder: %w", err)
	}
	held, err := lock(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, fmt.Errorf("results folder %s: %w", dir, err)
	}
	s := &Store{dir: dir, lock: held}
	if err := s.enter(m, source); err != nil {
		held.Close()
		return nil, err
	}
	return s, nil
}

// enter checks that the folder is the manifest's, or makes it so.
func (s *Store) enter(m Manifest, source []byte) error {
	m.Format = manifestFormat
	switch old, err := readManifest(s.dir); {
	case err == nil:
		if err := m.differs(old); err != nil {
			return fmt.Errorf("results folder %s belongs to other results: %w", s.dir, err)
		}
		if old.File != m.File {
			os.Remove(filepath.Join(s.dir, old.File)) // the same campaign under another name
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	default:
		if err := s.claim(); err != nil {
			return err
		}
	}
	if err := s.writeFile(m.File, source); err != nil {
		return err
	}
	if err := s.writeJSON(manifestFile, m); err != nil {
		return err
	}
	return s.openResults()
}

// claim checks that a folder without a manifest is nobody's.
func (s *Store) claim() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != lockFile {
			return fmt.Errorf("results folder %s: there is %s in it, but no %s; name an empty or a new folder", s.dir, e.Name(), manifestFile)
		}
	}
	return nil
}

// openResults reads what is there and prepares to append to it.
func (s *Store) openResults() error {
	path := filepath.Join(s.dir, resultsFile)
	records, size, err := readResults(path)
	if !errors.As(err, &s.Recovered) && err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	if s.Recovered != nil {
		if err := f.Truncate(size); err != nil {
			f.Close()
			return fmt.Errorf("%w; it cannot be removed: %w", s.Recovered, err)
		}
	}
	s.results, s.size, s.Records = f, size, records
	return nil
}

// Append adds a result. If it cannot be written whole, none of it stays.
func (s *Store) Append(r *Record) error {
	line, err := encodeLine(r)
	if err != nil {
		return err
	}
	n, err := s.results.Write(line)
	if err != nil {
		if n > 0 {
			// A full disk still lets a file become shorter. If not even
			// that works, the next reader finds a cut-off line.
			_ = s.results.Truncate(s.size)
		}
		return fmt.Errorf("writing results: %w", err)
	}
	s.size += int64(n)
	return nil
}

// Sync makes sure that what was appended survives a crash of the machine.
func (s *Store) Sync() error { return s.results.Sync() }

// Close ends writing.
func (s *Store) Close() error {
	return errors.Join(s.results.Sync(), s.results.Close(), s.lock.Close())
}

// Note appends to the log of what went wrong inside flipvisor.
func (s *Store) Note(text string) error {
	f, err := os.OpenFile(filepath.Join(s.dir, errorsFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// writeJSON replaces a file as a whole.
func (s *Store) writeJSON(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return s.writeFile(name, append(text, '\n'))
}

// writeFile writes beside the old file and then renames, so that a full disk
// leaves the old one.
func (s *Store) writeFile(name string, text []byte) error {
	return WriteFile(filepath.Join(s.dir, name), text)
}

// WriteFile replaces a file as a whole or not at all.
func WriteFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func readManifest(dir string) (*Manifest, error) {
	var m Manifest
	if err := readJSON(filepath.Join(dir, manifestFile), &m); err != nil {
		return nil, err
	}
	if m.File == "" || m.File != filepath.Base(m.File) {
		return nil, fmt.Errorf("%s: %q is not the name of a file in this folder", filepath.Join(dir, manifestFile), m.File)
	}
	return &m, nil
}

func readJSON(path string, to any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// readResults reads a results file. If its last line was cut off, the error
// is a *Damage, and records and size are of the lines before it.
func readResults(path string) (records []Record, size int64, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	at := make(map[int]int) // index to line
	for number := 1; len(text) > 0; number++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		r, err := decodeLine(line)
		if err != nil || !whole {
			if len(rest) == 0 {
				return records, size, &Damage{path, number, size, len(line)}
			}
			return nil, 0, fmt.Errorf("%s:%d: damaged: %w", path, number, err)
		}
		if before, twice := at[r.Index]; twice {
			return nil, 0, fmt.Errorf("%s:%d: experiment %d is already on line %d", path, number, r.Index, before)
		}
		at[r.Index] = number
		records = append(records, *r)
		size += int64(len(line) + 1)
		text = rest
	}
	return records, size, nil
}

// Stored is a results folder as it was read.
type Stored struct {
	Dir      string
	Manifest Manifest
	Golden   GoldenSummary
	Timing   Timing
	Records  []Record // by index
}

// ReadStore reads a results folder, of a campaign that has ended or was
// interrupted. A cut-off last line is an error, a *Damage: what is there is
// not what was there.
func ReadStore(dir string) (*Stored, error) {
	s := &Stored{Dir: dir}
	m, err := readManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a results folder: there is no %s in it", dir, manifestFile)
	}
	if err != nil {
		return nil, err
	}
	s.Manifest = *m
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("results folder %s has format %d; this flipvisor reads %d", dir, m.Format, manifestFormat)
	}
	err = readJSON(filepath.Join(dir, goldenFile), &s.Golden)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("results folder %s: the campaign was interrupted before its first experiment", dir)
	}
	if err != nil {
		return nil, err
	}
	if err := readJSON(filepath.Join(dir, timingFile), &s.Timing); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if s.Records, _, err = readResults(filepath.Join(dir, resultsFile)); err != nil {
		var d *Damage
		if errors.As(err, &d) {
			return nil, fmt.Errorf("%w; the %d results before it are whole: "+
				"\"flipvisor run --out %s\" with its campaign repairs the file and goes on", err, len(s.Records), dir)
		}
		return nil, err
	}
	sortRecords(s.Records)
	return s, nil
}

// Campaign reads the campaign that the results are of, as it was then.
func (s *Stored) Campaign(env Env) (*Campaign, error) {
	source, err := os.ReadFile(filepath.Join(s.Dir, s.Manifest.File))
	if err != nil {
		return nil, err
	}
	c, err := env.Parse(filepath.Join(s.Manifest.Folder, s.Manifest.File), source)
	if err != nil {
		return nil, err
	}
	c.Sample.Seed, c.Sample.Size = s.Manifest.Seed, s.Manifest.Samples
	if d := c.Digest(); d != s.Manifest.Digest {
		return nil, fmt.Errorf("results folder %s: what its campaign refers to has changed since: "+
			"its digest was %.12s, now it is %.12s", s.Dir, s.Manifest.Digest, d)
	}
	return c, nil
}

// Find gives the record of an experiment.
func (s *Stored) Find(index int) (*Record, bool) {
	i, ok := slices.BinarySearchFunc(s.Records, index, func(r Record, i int) int { return r.Index - i })
	if !ok {
		return nil, false
	}
	return &s.Records[i], true
}
