package mmu

import "github.com/flipvisor/flipvisor/internal/state"

// Cache models the tags and states of the first- and second-level caches.
type Cache struct{}

// SetCache puts the caches between the processor and memory, or takes them
// away (nil).
func (m *MMU) SetCache(c *Cache) {
	m.cache, m.Mem.cache = c, c
	m.FlushFast()
}

// FetchLine passes the instruction cache for the line that holds pa. If it
// returns bytes, the instruction side sees these instead of memory's.
func (m *MMU) FetchLine(pa uint64) *[64]byte { return nil }

func (c *Cache) read(pa uint64, size int)                     {}
func (c *Cache) write(pa uint64, size int)                    {}
func (c *Cache) snoopRead(pa uint64, size int) (uint64, bool) { return 0, false }
func (c *Cache) snoopWrite(pa uint64, size int)               {}
func (c *Cache) flipMemory(pa uint64, bit uint8) bool         { return false }

// Walk walks the caches' state.
func (c *Cache) Walk(w *state.Walker) {}
