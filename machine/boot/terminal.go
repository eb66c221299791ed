package boot

import (
	"errors"
	"io"
)

// ErrLeft is the end of a session that the person at the terminal left.
var ErrLeft = errors.New("left")

const (
	ctrlA = 0x01
	ctrlC = 0x03
)

// Keys reads a terminal in raw mode for a session: Ctrl-C and Ctrl-A x leave,
// Ctrl-A before any other key sends that key as it is.
type Keys struct {
	r       io.Reader
	leave   func()
	escaped bool
}

// NewKeys reads from r, and calls leave once when the person wants to go.
func NewKeys(r io.Reader, leave func()) *Keys { return &Keys{r: r, leave: leave} }

// Read gives what is meant for the machine.
func (k *Keys) Read(p []byte) (int, error) {
	for {
		n, err := k.r.Read(p)
		out := 0
		for _, b := range p[:n] {
			switch {
			case k.escaped && (b == 'x' || b == 'X'), !k.escaped && b == ctrlC:
				k.leave()
				return out, io.EOF
			case !k.escaped && b == ctrlA:
				k.escaped = true
			default:
				k.escaped = false
				p[out] = b
				out++
			}
		}
		if out > 0 || err != nil {
			return out, err
		}
	}
}

// Lines writes to a terminal in raw mode, where a line feed alone does not go
// back to the left margin.
type Lines struct {
	w    io.Writer
	last byte
	buf  []byte
}

// NewLines writes to w.
func NewLines(w io.Writer) *Lines { return &Lines{w: w} }

// Write puts a carriage return before each line feed that has none.
func (l *Lines) Write(p []byte) (int, error) {
	l.buf = l.buf[:0]
	for _, b := range p {
		if b == '\n' && l.last != '\r' {
			l.buf = append(l.buf, '\r')
		}
		l.buf = append(l.buf, b)
		l.last = b
	}
	if _, err := l.w.Write(l.buf); err != nil {
		return 0, err
	}
	return len(p), nil
}
