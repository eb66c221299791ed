package inject

import (
	"slices"

	"github.com/flipvisor/flipvisor/internal/nearest"
)

// names are the words of an enumeration in the order of its constants: what
// String prints, what Parse accepts, what HCL and JSON hold.
type names []string

func (n names) of(i int) string {
	if i < 0 || i >= len(n) {
		return "?"
	}
	return n[i]
}

func (n names) parse(kind, s string) (int, error) {
	if i := slices.Index(n, s); i >= 0 {
		return i, nil
	}
	return 0, nearest.Unknown(kind, s, n)
}

// unmarshal is the body of every enumeration's UnmarshalText.
func unmarshal[T any](to *T, text []byte, parse func(string) (T, error)) error {
	v, err := parse(string(text))
	if err == nil {
		*to = v
	}
	return err
}
