package exec

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrBadCases reports that some lines of a stream were no cases. Each has its
// own line of output.
var ErrBadCases = errors.New("some cases could not be run")

// maxLine bounds a line of input.
const maxLine = 64 << 20

// Stream reads a case per line and writes a result per line, in order. A line
// that is no case gets {"error": …} and the stream goes on.
func (b *Bench) Stream(in io.Reader, out io.Writer) error {
	w := bufio.NewWriterSize(out, 1<<16)
	defer w.Flush()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<16), maxLine)
	enc := json.NewEncoder(w)
	bad := 0
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		r, err := b.line(line)
		if err != nil {
			bad++
			r = &Result{Stop: "error", Error: fmt.Sprintf("line %d: %v", n, err)}
		}
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("writing a result: %w", err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading cases: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing results: %w", err)
	}
	if bad > 0 {
		return fmt.Errorf("%w: %d", ErrBadCases, bad)
	}
	return nil
}

func (b *Bench) line(line []byte) (*Result, error) {
	var k Case
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil {
		return nil, err
	}
	return b.Run(&k)
}
