package mmu

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/zeebo/xxh3"
)

// refDigest is Digest by its definition.
func refDigest(m *Memory) (s Sum) {
	for i := range m.Frames() {
		pa, ok := m.FrameAddress(i)
		if !ok {
			continue
		}
		if p := m.Page(pa); *p != zeroPage {
			h := xxh3.Hash128Seed(p[:], pa/PageSize)
			s = s.plus(Sum{h.Lo, h.Hi})
		}
	}
	return s
}

// TestSnapshots runs random writes, snapshots, restorations, comparisons and
// digests on two memories that share a ladder, beside plain copies.
func TestSnapshots(t *testing.T) {
	const pages = 150
	rungs := func(seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 4))
		units := []*MMU{New(NewMemory(pages * PageSize)), New(NewMemory(pages * PageSize))}
		var ladder []*Pages
		var copies [][]byte
		ram := func(m *Memory) []byte {
			b := make([]byte, pages*PageSize)
			if err := m.ReadBytes(0, b); err != nil {
				t.Fatal(err)
			}
			return b
		}
		var r Regime
		for range 150 {
			u := units[rnd.IntN(2)]
			m := u.Mem
			switch k := rnd.IntN(16); {
			case k < 8:
				for range rnd.IntN(20) {
					va := uint64(rnd.IntN(pages*8)) * 512
					v := rnd.Uint64N(3) // often back to zero
					if e := &u.Fast.Write[Supervisor][FastIndex(va)]; e.Tag == va&^0xFFF {
						storeBytes(e.Data[va&0xFFF:], 8, v)
					} else {
						u.Write(&r, va, 8, v, Supervisor)
					}
				}
			case k < 10:
				ladder = append(ladder, m.Snapshot())
				copies = append(copies, ram(m))
			case k < 12 && len(ladder) > 0:
				i := rnd.IntN(len(ladder))
				m.Restore(ladder[i])
				if !bytes.Equal(ram(m), copies[i]) || !m.Equal(ladder[i]) {
					t.Fatalf("seed %d: restored memory differs", seed)
				}
			case k < 14 && len(ladder) > 0:
				i := rnd.IntN(len(ladder))
				now := ram(m)
				if got, want := m.Equal(ladder[i]), bytes.Equal(now, copies[i]); got != want {
					t.Fatalf("seed %d: Equal says %v, want %v", seed, got, want)
				}
				differ := map[uint64]int{}
				m.Diff(ladder[i], func(pa uint64, _, then *Page) {
					differ[pa]++
					if !bytes.Equal(then[:], copies[i][pa:][:PageSize]) {
						t.Fatalf("seed %d: Diff shows another past", seed)
					}
				})
				for pa := uint64(0); pa < pages*PageSize; pa += PageSize {
					want := 1
					if bytes.Equal(now[pa:][:PageSize], copies[i][pa:][:PageSize]) {
						want = 0
					}
					if differ[pa] != want {
						t.Fatalf("seed %d: Diff called %d times for %#x, want %d", seed, differ[pa], pa, want)
					}
				}
			default:
				lo, hi := m.Digest()
				if want := refDigest(m); want != (Sum{lo, hi}) {
					t.Fatalf("seed %d: digest %x %x, want %x", seed, lo, hi, want)
				}
			}
		}
		for i, p := range ladder {
			for f := range p.Frames() {
				if !bytes.Equal(p.Page(f)[:], copies[i][f*PageSize:][:PageSize]) {
					t.Fatalf("seed %d: snapshot %d has changed", seed, i)
				}
			}
		}
	}
	for seed := range uint64(40) {
		rungs(seed)
	}
}

// TestSharedLadder: several goroutines restore the same snapshots.
func TestSharedLadder(t *testing.T) {
	m := NewMemory(1 << 20)
	var ladder []*Pages
	for i := range uint64(8) {
		m.Write(i*3*PageSize, 8, i+1)
		ladder = append(ladder, m.Snapshot())
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			m := NewMemory(1 << 20)
			for i := range 200 {
				p := ladder[i*5%len(ladder)]
				m.Restore(p)
				if !m.Equal(p) {
					t.Error("not equal")
				}
				m.Write(uint64(i)*512, 8, 99)
				m.Digest()
			}
		})
	}
	wg.Wait()
}

// TestUnchangedPagesAreShared: a snapshot costs what has changed.
func TestUnchangedPagesAreShared(t *testing.T) {
	m := NewMemory(1 << 20)
	m.Write(0x1000, 8, 1)
	m.Write(0x2000, 8, 1)
	a := m.Snapshot()
	m.Write(0x1000, 8, 2)
	m.Write(0x2000, 8, 2)
	m.Write(0x2000, 8, 1) // as before
	m.Write(0x3000, 8, 0) // still zero
	b := m.Snapshot()
	for _, tt := range []struct {
		page   int
		shared bool
	}{{0, true}, {1, false}, {2, true}, {3, true}} {
		if got := a.Page(tt.page) == b.Page(tt.page); got != tt.shared {
			t.Errorf("page %d shared: %v", tt.page, got)
		}
	}
}

func TestRestoreOfAnotherSize(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("accepted")
		}
	}()
	NewMemory(1 << 20).Restore(NewMemory(2 << 20).Snapshot())
}

// benchMemory is 128 MiB of which 32 MiB are in use.
func benchMemory() *Memory {
	m := NewMemory(128 << 20)
	for pa := uint64(1 << 20); pa < 33<<20; pa += 64 {
		m.Write(pa, 8, pa*0x9E3779B97F4A7C15)
	}
	return m
}

// BenchmarkRestore is an experiment's overhead: n dirty pages, restored to
// the snapshot they were dirtied from.
func BenchmarkRestore(b *testing.B) {
	m := benchMemory()
	p := m.Snapshot()
	for _, n := range []uint64{0, 16, 64, 256} {
		b.Run(fmt.Sprintf("%d-dirty-pages", n), func(b *testing.B) {
			for b.Loop() {
				for i := range n {
					m.Write(4<<20+i*7*PageSize, 8, i)
				}
				m.Restore(p)
			}
		})
	}
	q := func() *Pages {
		for i := range uint64(64) {
			m.Write(4<<20+i*7*PageSize, 8, i)
		}
		return m.Snapshot()
	}()
	b.Run("64-pages-between-rungs", func(b *testing.B) {
		i := 0
		for b.Loop() {
			m.Restore([]*Pages{p, q}[i&1])
			i++
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	m := benchMemory()
	m.Snapshot()
	x := uint64(0)
	for b.Loop() {
		for i := range uint64(64) {
			x++
			m.Write(4<<20+i*7*PageSize, 8, x)
		}
		m.Snapshot()
	}
}

func BenchmarkEqual(b *testing.B) {
	m := benchMemory()
	p := m.Snapshot()
	for i := range uint64(64) {
		m.Write(4<<20+i*7*PageSize, 8, m.Read(4<<20+i*7*PageSize, 8))
	}
	for b.Loop() {
		if !m.Equal(p) {
			b.Fatal("differs")
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	m := benchMemory()
	m.Digest()
	x := uint64(0)
	for b.Loop() {
		for i := range uint64(64) {
			x++
			m.Write(4<<20+i*7*PageSize, 8, x)
		}
		m.Digest()
	}
}

// BenchmarkReadMiss is a read that misses the fast array and hits the TLB.
func BenchmarkReadMiss(b *testing.B) {
	x := newLongBench()
	x.set64(pt, data|table)
	for b.Loop() {
		x.Read(&x.r, longBase+8, 8, Supervisor)
	}
}

// BenchmarkWalk is a read that misses the TLB too.
func BenchmarkWalk(b *testing.B) {
	for _, nested := range []bool{false, true} {
		b.Run(fmt.Sprintf("nested=%v", nested), func(b *testing.B) {
			x := newNestedBench()
			if !nested {
				x.r.EPTP = 0
			}
			for b.Loop() {
				x.Invlpg(&x.r, longBase)
				x.Read(&x.r, longBase+8, 8, Supervisor)
			}
		})
	}
}

func BenchmarkTranslate(b *testing.B) {
	x := newNestedBench()
	for b.Loop() {
		x.Translate(&x.r, longBase+8)
	}
}

// BenchmarkSwitchContext is a VM exit's cost here: 40 pages of working set,
// dropped and entered again.
func BenchmarkSwitchContext(b *testing.B) {
	x := newLongBench()
	for i := range uint64(512) {
		x.set64(pt+i*8, data|table)
	}
	for b.Loop() {
		x.SwitchContext(&x.r)
		for i := range uint64(40) {
			x.Read(&x.r, longBase+i*PageSize, 8, Supervisor)
		}
	}
}
