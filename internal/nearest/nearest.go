// Package nearest finds the name that a mistyped one was meant to be.
package nearest

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// To gives the candidate closest to word, or "" when none is close enough
// to be worth suggesting. Of equally close ones the first wins.
func To(word string, candidates []string) string {
	best, distance, slip := "", 0, 0
	for _, c := range candidates {
		d := levenshtein.Distance(strings.ToLower(word), strings.ToLower(c), nil)
		s := letterDistance(word, c)
		if best == "" || d < distance || d == distance && s < slip {
			best, distance, slip = c, d, s
		}
	}
	// Two slips, or one for every three letters of a long name: beyond
	// that a suggestion is a guess.
	if best == "" || distance > max(2, len(word)/3) || distance >= len(word) {
		return ""
	}
	return best
}

// letterDistance tells apart candidates that need as many edits: the sum of
// how far letters at the same place are from each other in the alphabet,
// which is small for swapped neighbours (rpi, rip) and for near misses
// (rbq, rbp).
func letterDistance(a, b string) int {
	sum := 0
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a) || i >= len(b):
			sum += 13
		case a[i] > b[i]:
			sum += int(a[i] - b[i])
		default:
			sum += int(b[i] - a[i])
		}
	}
	return sum
}

// Error says that name is not one of the candidates. It suggests one if one
// is close, or lists them if they are few:
//
//	unknown register "rbq"; did you mean "rbp"?
//	unknown policy "go on"; it is one of continue, stop
type Error struct {
	Kind, Name string
	Hint       string // may be empty
}

// few is how many candidates a message may list.
const few = 8

// Unknown makes the error for a name of the given kind.
func Unknown(kind, name string, candidates []string) *Error {
	e := &Error{Kind: kind, Name: name}
	switch near := To(name, candidates); {
	case near != "":
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	case len(candidates) > 0 && len(candidates) <= few:
		e.Hint = "it is one of " + strings.Join(candidates, ", ")
	}
	return e
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("unknown %s %q", e.Kind, e.Name)
	}
	return fmt.Sprintf("unknown %s %q; %s", e.Kind, e.Name, e.Hint)
}
