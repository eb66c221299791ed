package inject

import (
	"fmt"
	"strconv"
	"strings"
)

// words reads a sentence from left to right. The first thing that does not
// fit is remembered and everything after it reads as zero, so that the
// readers need no error handling of their own.
type words struct {
	kind string // what is being read, for errors
	all  []string
	next int
	err  error
}

func newWords(kind, s string) *words {
	return &words{kind: kind, all: strings.Fields(s)}
}

// finish gives the first error, or one for words left over.
func (w *words) finish() error {
	if w.err == nil && w.next < len(w.all) {
		w.fail(fmt.Errorf("unexpected %q after it", w.all[w.next]))
	}
	return w.err
}

func (w *words) fail(err error) {
	if w.err == nil {
		w.err = fmt.Errorf("%s %q: %w", w.kind, strings.Join(w.all, " "), err)
	}
}

// word takes the next word.
func (w *words) word() string {
	if w.err != nil {
		return ""
	}
	if w.next == len(w.all) {
		w.fail(fmt.Errorf("ends too early"))
		return ""
	}
	w.next++
	return w.all[w.next-1]
}

// accept takes the next word if it is the given one.
func (w *words) accept(word string) bool {
	if w.err == nil && w.next < len(w.all) && w.all[w.next] == word {
		w.next++
		return true
	}
	return false
}

// expect takes the given word and nothing else.
func (w *words) expect(word string) {
	if got := w.word(); w.err == nil && got != word {
		w.fail(fmt.Errorf("expected %q instead of %q", word, got))
	}
}

// number takes a number, decimal or 0x.
func (w *words) number() uint64 {
	s := w.word()
	if w.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		w.fail(fmt.Errorf("%q is not a number", s))
	}
	return n
}

// small takes a number that fits where there are few of a thing.
func (w *words) small() int {
	n := w.number()
	if n > 1<<30 {
		w.fail(fmt.Errorf("%d is too large", n))
		return 0
	}
	return int(n)
}

// parseWord takes one word of an enumeration.
func parseWord[T any](w *words, parse func(string) (T, error)) T {
	var zero T
	s := w.word()
	if w.err != nil {
		return zero
	}
	v, err := parse(s)
	if err != nil {
		w.fail(err)
		return zero
	}
	return v
}
