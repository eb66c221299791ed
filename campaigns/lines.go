package campaigns

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/flipvisor/flipvisor/inject"
)

// A results file has a line for each experiment, in the order in which they
// ended: the result as JSON, the time it took, and a checksum of what stands
// before it on the line.
//
//	{"index":7,"group":"registers",…,"wall_us":1834,"crc":"5f1a2b3c"}
//
// The time is beside the result and not in it: it enters no digest.

const crcKey = `,"crc":"`

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Record is a result with the time it took.
type Record struct {
	inject.Result
	Wall time.Duration
}

func encodeLine(r *Record) ([]byte, error) {
	line, err := r.Canonical()
	if err != nil {
		return nil, err
	}
	line = bytes.TrimSuffix(line, []byte("}"))
	line = fmt.Appendf(line, `,"wall_us":%d`, r.Wall.Microseconds())
	return fmt.Appendf(line, "%s%08x\"}\n", crcKey, crc32.Checksum(line, castagnoli)), nil
}

// decodeLine reads a line without its newline.
func decodeLine(line []byte) (*Record, error) {
	end := bytes.LastIndex(line, []byte(crcKey))
	if end < 0 {
		return nil, fmt.Errorf("no checksum")
	}
	if got, want := string(line[end+len(crcKey):]), fmt.Sprintf("%08x\"}", crc32.Checksum(line[:end], castagnoli)); got != want {
		return nil, fmt.Errorf("the checksum does not fit")
	}
	var stored struct {
		inject.Result
		WallMicros int64 `json:"wall_us"`
	}
	if err := json.Unmarshal(append(slices.Clone(line[:end]), '}'), &stored); err != nil {
		return nil, err
	}
	if stored.Index < 0 {
		return nil, fmt.Errorf("index %d is negative", stored.Index)
	}
	return &Record{stored.Result, time.Duration(stored.WallMicros) * time.Microsecond}, nil
}

// readsBack says why a result would not come out of the file as it went in.
func readsBack(r *inject.Result) error {
	text, err := r.Canonical()
	if err != nil {
		return err
	}
	var again inject.Result
	if err := json.Unmarshal(text, &again); err != nil {
		return err
	}
	if twice, err := again.Canonical(); err != nil || !bytes.Equal(text, twice) {
		return fmt.Errorf("it is stored as %s, which reads as %s", text, twice)
	}
	return nil
}

// ResultsDigest is the digest of all results in the order of their indices.
// It is the same whatever the number of workers was, and how often the
// campaign was interrupted.
func ResultsDigest(records []Record) (string, error) {
	sorted := slices.Clone(records)
	sortRecords(sorted)
	sum := sha256.New()
	for i := range sorted {
		line, err := sorted[i].Canonical()
		if err != nil {
			return "", err
		}
		sum.Write(line)
		sum.Write([]byte("\n"))
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func sortRecords(r []Record) {
	slices.SortFunc(r, func(a, b Record) int { return a.Index - b.Index })
}
