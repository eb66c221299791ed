package inject

import "math/bits"

// Window is the instructions of a timeline from the From-th to before the
// To-th, each a moment at its count in the whole run.
type Window struct {
	Timeline *Timeline
	From, To uint64
	Mode     Mode // what the timeline is of
}

// Len is the number of instructions in the window.
func (w Window) Len() uint64 { return w.To - w.From }

// At gives the k-th.
func (w Window) At(k uint64) Trigger {
	return Trigger{Moment: AtInstruction, Reason: AnyExit, Mode: w.Mode, Count: w.Timeline.At(w.From + k)}
}

// Range is the numbers from From to To, both included.
type Range struct{ From, To uint64 }

// Len is how many there are, the largest word if they do not fit in one.
func (r Range) Len() uint64 {
	if n := r.To - r.From; n != ^uint64(0) {
		return n + 1
	}
	return ^uint64(0)
}

// Occurrences is every combination of a number of occurrence and an offset
// after it, both ranges inclusive.
type Occurrences struct {
	Trigger Trigger // Count and Offset are filled in
	Count   Range
	Offset  Range
}

// Len is the number of combinations; ranges that multiply to more than a
// word holds count as the largest word.
func (o Occurrences) Len() uint64 {
	hi, lo := bits.Mul64(o.Count.Len(), o.Offset.Len())
	if hi != 0 {
		return ^uint64(0)
	}
	return lo
}

// At gives the k-th combination.
func (o Occurrences) At(k uint64) Trigger {
	t := o.Trigger
	t.Count = o.Count.From + k/o.Offset.Len()
	t.Offset = o.Offset.From + k%o.Offset.Len()
	return t
}
