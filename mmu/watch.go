package mmu

type watch struct {
	pa uint64
	n  int
	id int
}

// Watch reports accesses to n bytes of RAM at pa to Watched with id: loads,
// stores, page walks, and device accesses. Instruction fetches of a watched
// page come to the MMU each time, because it is kept out of the fast
// arrays, but which bytes an instruction has is known to the interpreter
// only: it calls NoteFetch.
func (m *Memory) Watch(pa uint64, n int, id int) {
	m.watches = append(m.watches, watch{pa, n, id})
	m.flagWatches()
}

// Unwatch ends all watches with that id.
func (m *Memory) Unwatch(id int) {
	kept := m.watches[:0]
	for _, w := range m.watches {
		if w.id != id {
			kept = append(kept, w)
		}
	}
	m.watches = kept
	m.flagWatches()
}

func (m *Memory) flagWatches() {
	for i := range m.flags {
		m.flags[i] &^= pageWatched
	}
	for _, w := range m.watches {
		for pa := w.pa &^ (PageSize - 1); pa < w.pa+uint64(w.n); pa += PageSize {
			if f := m.frame(pa); f != noFrame {
				m.flags[f] |= pageWatched
			}
		}
	}
	m.dropFast()
}

// IsWatched says whether a watch lies on the page that holds pa.
func (m *Memory) IsWatched(pa uint64) bool {
	f := m.frame(pa)
	return f != noFrame && m.flags[f]&pageWatched != 0
}

// NoteFetch reports the fetch of an instruction of n bytes to the watches
// on them.
func (m *Memory) NoteFetch(pa uint64, n int) {
	if m.IsWatched(pa) {
		m.notify(pa, n, false)
	}
}

// notify calls Watched for each watch that overlaps the access.
func (m *Memory) notify(pa uint64, size int, write bool) {
	if m.Watched == nil {
		return
	}
	for i := 0; i < len(m.watches); i++ { // Watched may call Unwatch
		if w := m.watches[i]; pa < w.pa+uint64(w.n) && w.pa < pa+uint64(size) {
			m.Watched(w.id, pa, size, write)
		}
	}
}
