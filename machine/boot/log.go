package boot

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/flipvisor/flipvisor/machine"
)

// An input log as a file is this line, then a line for each input: the count
// at which the machine saw it, its kind, its bytes in hexadecimal.
const logHeader = "flipvisor input log 1"

// WriteLog writes an input log.
func WriteLog(w io.Writer, log []machine.Input) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, logHeader)
	for _, in := range log {
		fmt.Fprintf(b, "%d %v %x\n", in.Count, in.Kind, in.Data)
	}
	return b.Flush()
}

// ReadLog reads what WriteLog wrote.
func ReadLog(r io.Reader) ([]machine.Input, error) {
	lines := bufio.NewScanner(r)
	if !lines.Scan() || lines.Text() != logHeader {
		if err := lines.Err(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("no input log: the first line is not %q", logHeader)
	}
	var log []machine.Input
	for n := 2; lines.Scan(); n++ {
		in, err := parseInput(lines.Text())
		if err == nil && len(log) > 0 && in.Count < log[len(log)-1].Count {
			err = fmt.Errorf("count %d comes after %d", in.Count, log[len(log)-1].Count)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		log = append(log, in)
	}
	return log, lines.Err()
}

func parseInput(s string) (in machine.Input, err error) {
	words := strings.Fields(s)
	if len(words) != 3 {
		return in, fmt.Errorf("%q: want a count, a kind and bytes in hexadecimal", s)
	}
	if in.Count, err = strconv.ParseUint(words[0], 10, 64); err != nil {
		return in, fmt.Errorf("%q is no count", words[0])
	}
	if in.Kind, err = machine.ParseInputKind(words[1]); err != nil {
		return in, err
	}
	if in.Data, err = hex.DecodeString(words[2]); err != nil {
		return in, fmt.Errorf("%q are no bytes in hexadecimal", words[2])
	}
	return in, nil
}
