// Package state walks everything that can influence a machine's future.
//
// Each part of the machine has one method, Walk(*Walker), that names each of
// its fields once. The same walk saves a snapshot, loads it, feeds the
// digest and prints the state for a person, so that a field cannot be in one
// of these and be forgotten in another.
package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// ErrShort reports saved bytes that end before the state does.
var ErrShort = errors.New("saved state is truncated")

type mode uint8

const (
	saving mode = iota
	loading
	showing
)

// Walker is handed to each part in turn. Its zero value is not useful: see
// Save, Load and Show.
type Walker struct {
	mode mode
	buf  []byte // bytes written so far, or still to be read
	err  error

	prefix []string
	show   func(name, value string)
}

// Part is anything with state.
type Part interface{ Walk(w *Walker) }

// Save appends the state of p to buf.
func Save(buf []byte, p Part) []byte {
	w := Walker{mode: saving, buf: buf}
	p.Walk(&w)
	return w.buf
}

// Load sets the state of p from what Save wrote, all of it.
func Load(buf []byte, p Part) error {
	w := Walker{mode: loading, buf: buf}
	p.Walk(&w)
	if w.err == nil && len(w.buf) != 0 {
		w.err = fmt.Errorf("saved state has %d bytes too many", len(w.buf))
	}
	return w.err
}

// Show calls f with each field's dotted name and value.
func Show(p Part, f func(name, value string)) {
	p.Walk(&Walker{mode: showing, show: f})
}

// Loading says that this walk replaces the state, so that a part can drop
// what it derived from the old one.
func (w *Walker) Loading() bool { return w.mode == loading && w.err == nil }

// Fail makes a load fail: the saved bytes hold an impossible value.
func (w *Walker) Fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Part walks p under a name.
func (w *Walker) Part(name string, p Part) {
	w.prefix = append(w.prefix, name)
	p.Walk(w)
	w.prefix = w.prefix[:len(w.prefix)-1]
}

func (w *Walker) take(n int) []byte {
	if w.err != nil {
		return nil
	}
	if len(w.buf) < n {
		w.err = ErrShort
		return nil
	}
	b := w.buf[:n]
	w.buf = w.buf[n:]
	return b
}

func (w *Walker) name(name string) string {
	if len(w.prefix) == 0 {
		return name
	}
	return strings.Join(w.prefix, ".") + "." + name
}

// U64 walks one 64-bit field.
func (w *Walker) U64(name string, p *uint64) {
	switch w.mode {
	case saving:
		w.buf = binary.LittleEndian.AppendUint64(w.buf, *p)
	case loading:
		if b := w.take(8); b != nil {
			*p = binary.LittleEndian.Uint64(b)
		}
	case showing:
		w.show(w.name(name), fmt.Sprintf("%#x", *p))
	}
}

// U32 walks one 32-bit field.
func (w *Walker) U32(name string, p *uint32) {
	v := uint64(*p)
	w.U64(name, &v)
	*p = uint32(v)
}

// U16 walks one 16-bit field.
func (w *Walker) U16(name string, p *uint16) {
	v := uint64(*p)
	w.U64(name, &v)
	*p = uint16(v)
}

// U8 walks one 8-bit field.
func (w *Walker) U8(name string, p *uint8) {
	v := uint64(*p)
	w.U64(name, &v)
	*p = uint8(v)
}

// Bool walks one flag.
func (w *Walker) Bool(name string, p *bool) {
	var v uint64
	if *p {
		v = 1
	}
	w.U64(name, &v)
	*p = v != 0
}

// Bytes walks a fixed-size array of bytes.
func (w *Walker) Bytes(name string, p []byte) {
	switch w.mode {
	case saving:
		w.buf = append(w.buf, p...)
	case loading:
		if b := w.take(len(p)); b != nil {
			copy(p, b)
		}
	case showing:
		w.show(w.name(name), fmt.Sprintf("%x", p))
	}
}

// Blob walks a byte slice whose length is part of the state. A load refuses
// lengths over limit.
func (w *Walker) Blob(name string, p *[]byte, limit int) {
	n := uint64(len(*p))
	w.U64(name+".len", &n)
	if w.mode == loading {
		if w.err != nil {
			return
		}
		if n > uint64(limit) || n > uint64(len(w.buf)) {
			w.Fail(fmt.Errorf("saved %s has impossible length %d", w.name(name), n))
			return
		}
		*p = make([]byte, n)
	}
	w.Bytes(name, *p)
}
