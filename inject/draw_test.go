package inject

import (
	"testing"

	"pgregory.net/rapid"
)

// The known answers of the generator's authors (Random123, kat_vectors).
func TestPhiloxKnownAnswers(t *testing.T) {
	const ones = ^uint64(0)
	tests := []struct {
		name    string
		counter [4]uint64
		key     [2]uint64
		want    [4]uint64
	}{
		{"zeros", [4]uint64{}, [2]uint64{},
			[4]uint64{0x16554d9eca36314c, 0xdb20fe9d672d0fdc, 0xd7e772cee186176b, 0x7e68b68aec7ba23b}},
		{"ones", [4]uint64{ones, ones, ones, ones}, [2]uint64{ones, ones},
			[4]uint64{0x87b092c3013fe90b, 0x438c3c67be8d0224, 0x9cc7d7c69cd777b6, 0xa09caebf594f0ba0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := philox(tt.counter, tt.key); got != tt.want {
				t.Errorf("philox = %#x, want %#x", got, tt.want)
			}
		})
	}
}

func TestStreamsDoNotDisturbEachOther(t *testing.T) {
	alone := NewStream(1, 2, 7, 0).Next()
	NewStream(1, 2, 6, 0).Next()
	other := NewStream(1, 2, 7, 1)
	for range 9 {
		other.Next()
	}
	if again := NewStream(1, 2, 7, 0).Next(); again != alone {
		t.Errorf("the same stream gave %#x, then %#x", alone, again)
	}
}

func TestBelowStaysBelowAndReachesEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Min(1).Draw(t, "n")
		s := NewStream(rapid.Uint64().Draw(t, "key"), 0, 0, 0)
		for range 20 {
			if v := s.Below(n); v >= n {
				t.Fatalf("Below(%d) = %d", n, v)
			}
		}
	})
	var seen [6]int
	s := NewStream(0, 0, 0, 0)
	for range 6000 {
		seen[s.Below(6)]++
	}
	for face, n := range seen {
		if n < 850 || n > 1150 {
			t.Errorf("face %d came %d times of 6000", face, n)
		}
	}
}
