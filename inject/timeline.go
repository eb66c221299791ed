package inject

import "sort"

// Timeline is the part of a run that was spent in one mode: spans of
// instruction counts, in order. It answers which instruction of the whole
// run was the k-th of that mode, which is what makes it possible to sample
// uniformly over the instructions the hypervisor executed.
type Timeline struct {
	from   []uint64 // a span begins at this count of the whole run
	before []uint64 // and this many of the mode's instructions came earlier
	total  uint64
}

// Add appends the instructions with counts from ≤ n < to. Spans are added
// in order and do not overlap.
func (t *Timeline) Add(from, to uint64) {
	if from >= to {
		return
	}
	if n := len(t.from); n > 0 {
		end := t.from[n-1] + t.total - t.before[n-1]
		if from < end {
			panic("inject: spans of a timeline out of order")
		}
		if from == end {
			t.total += to - from
			return
		}
	}
	t.from = append(t.from, from)
	t.before = append(t.before, t.total)
	t.total += to - from
}

// Len is the number of instructions.
func (t *Timeline) Len() uint64 { return t.total }

// At gives the count of the k-th instruction, from 0.
func (t *Timeline) At(k uint64) uint64 {
	i := sort.Search(len(t.before), func(i int) bool { return t.before[i] > k }) - 1
	return t.from[i] + k - t.before[i]
}

// Before gives how many of the instructions have a count below n, which is
// the k of the first that has not.
func (t *Timeline) Before(n uint64) uint64 {
	i := sort.Search(len(t.from), func(i int) bool { return t.from[i] >= n }) - 1
	if i < 0 {
		return 0
	}
	end := t.total
	if i+1 < len(t.before) {
		end = t.before[i+1]
	}
	return min(t.before[i]+n-t.from[i], end)
}

// Spans calls f with each span in order.
func (t *Timeline) Spans(f func(from, to uint64)) {
	for i, from := range t.from {
		end := t.total
		if i+1 < len(t.before) {
			end = t.before[i+1]
		}
		f(from, from+end-t.before[i])
	}
}

// Complement is what remains of the counts below total.
func (t *Timeline) Complement(total uint64) *Timeline {
	var c Timeline
	next := uint64(0)
	t.Spans(func(from, to uint64) {
		c.Add(next, from)
		next = to
	})
	c.Add(next, total)
	return &c
}
