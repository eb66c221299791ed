package stats

import "fmt"

// Verdict is what a gate says.
type Verdict uint8

// The verdicts, from good to bad: of several, the largest counts.
const (
	Pass         Verdict = iota
	Inconclusive         // the sample is too small for the bar
	Fail
)

var verdictNames = [...]string{"pass", "inconclusive", "fail"}

func (v Verdict) String() string { return verdictNames[v] }

// MarshalText and UnmarshalText keep verdicts as words in files.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (v *Verdict) UnmarshalText(text []byte) error {
	for i, n := range verdictNames {
		if n == string(text) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("unknown verdict %q", text)
}

// AtLeast asks whether a proportion is at least bar. It passes when the
// whole interval is, fails when none of it is. A bar of 1 allows no
// exception, which no interval can show: there the sample itself decides.
func AtLeast(i Interval, bar float64) Verdict {
	switch {
	case bar == 1 && i.Value == 1, i.Low >= bar:
		return Pass
	case bar == 1 && i.Value < 1, i.High < bar:
		return Fail
	}
	return Inconclusive
}

// AtMost asks whether a proportion is at most bar. A bar of 0 allows no
// exception, as in AtLeast.
func AtMost(i Interval, bar float64) Verdict {
	switch {
	case bar == 0 && i.Value == 0, i.High <= bar:
		return Pass
	case bar == 0 && i.Value > 0, i.Low > bar:
		return Fail
	}
	return Inconclusive
}
