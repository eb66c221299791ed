package mmu

// chunkSize is the granule in which decoded code is tracked, so that data
// beside code can be written without a word to the decoder.
const chunkSize = PageSize / 64

// chunks is the set of chunks of a page that n bytes at pa lie in.
func chunks(pa uint64, n int) uint64 {
	first := pa % PageSize / chunkSize
	last := min((pa%PageSize+uint64(n)-1)/chunkSize, 63)
	return allOnes << first & (allOnes >> (63 - last))
}

// MarkCode says that instructions decoded from n bytes at pa are kept
// somewhere. A write to their chunks, from whatever source, is then reported
// to CodeWritten. Bytes that are not RAM cannot be marked; the range may
// cross into following pages.
func (m *Memory) MarkCode(pa uint64, n int) {
	for n > 0 {
		k := min(n, int(PageSize-pa%PageSize))
		if f := m.frame(pa); f != noFrame {
			if m.code[f] == 0 {
				for _, u := range m.units {
					u.dropWrites(&m.ram[f])
				}
			}
			m.code[f] |= chunks(pa, k)
		}
		pa, n = pa+uint64(k), n-k
	}
}

// ClearCode forgets the marks on a page, given by its number.
func (m *Memory) ClearCode(page uint64) {
	if f := m.frame(page * PageSize); f != noFrame {
		m.code[f] = 0
	}
}

// HasCode says whether any of the n bytes at pa, within one page, lies in a
// marked chunk.
func (m *Memory) HasCode(pa uint64, n int) bool {
	f := m.frame(pa)
	return f != noFrame && m.code[f]&chunks(pa, n) != 0
}

// changed reports a change of n bytes at pa, within frame f.
func (m *Memory) changed(f int, pa uint64, n int) {
	if m.code[f] != 0 && m.code[f]&chunks(pa, n) != 0 && m.CodeWritten != nil {
		m.CodeWritten(pa, n)
	}
}

// codeDiffers says whether a page differs from what will replace it in a
// chunk that holds decoded code.
func (m *Memory) codeDiffers(f int, now, next *Page) bool {
	marks := m.code[f]
	for i := 0; marks != 0; i, marks = i+1, marks>>1 {
		if marks&1 != 0 && string(now[i*chunkSize:][:chunkSize]) != string(next[i*chunkSize:][:chunkSize]) {
			return true
		}
	}
	return false
}
