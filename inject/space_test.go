package inject

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func timeline(spans ...[2]uint64) *Timeline {
	var t Timeline
	for _, s := range spans {
		t.Add(s[0], s[1])
	}
	return &t
}

func TestTimeline(t *testing.T) {
	root := timeline([2]uint64{10, 12}, [2]uint64{20, 23}, [2]uint64{23, 24}, [2]uint64{30, 31})
	want := []uint64{10, 11, 20, 21, 22, 23, 30}
	if root.Len() != uint64(len(want)) {
		t.Fatalf("%d instructions, want %d", root.Len(), len(want))
	}
	for k, n := range want {
		if got := root.At(uint64(k)); got != n {
			t.Errorf("At(%d) = %d, want %d", k, got, n)
		}
		if got := root.Before(n); got != uint64(k) {
			t.Errorf("Before(%d) = %d, want %d", n, got, k)
		}
	}
	for _, tt := range []struct{ n, want uint64 }{{0, 0}, {12, 2}, {15, 2}, {24, 6}, {29, 6}, {31, 7}, {99, 7}} {
		if got := root.Before(tt.n); got != tt.want {
			t.Errorf("Before(%d) = %d, want %d", tt.n, got, tt.want)
		}
	}
	guest := root.Complement(35)
	if d := cmp.Diff(timeline([2]uint64{0, 10}, [2]uint64{12, 20}, [2]uint64{24, 30}, [2]uint64{31, 35}),
		guest, cmp.AllowUnexported(Timeline{})); d != "" {
		t.Errorf("complement (-want +got):\n%s", d)
	}
}

func testSpace() *Space {
	root := timeline([2]uint64{100, 200}, [2]uint64{300, 400})
	window := Window{Timeline: root, From: 50, To: 200, Mode: Root}
	return &Space{Groups: []Group{
		{Name: "registers", Weight: 3, Moments: window, Locations: []Location{
			{Target: RegisterTarget(RAX), Bits: RAX.Storage()},
			{Target: RegisterTarget(RFLAGS), Bits: RFLAGS.Storage()},
		}},
		{Name: "burst", Weight: 1, Kind: Burst, Width: 3, Moments: window, Locations: []Location{
			{Target: MemoryTarget(0x1000), Length: 2},
		}},
		{Name: "mask", Weight: 1, Kind: RandomMask, Width: 4, Moments: window, Locations: []Location{
			{Target: MemoryTarget(0x1004), Length: 16},
		}},
		{Name: "null", Weight: 1, Kind: Null, Moments: Occurrences{
			Trigger: Trigger{Moment: AtExit, Reason: AnyExit}, Count: Range{1, 5}, Offset: Range{0, 9},
		}},
	}}
}

func TestSizeOfASpace(t *testing.T) {
	s := testSpace()
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	want := []float64{(64 + 18) * 150, (16 - 2) * 150, 128 * 150, 50}
	for i, w := range want {
		if got := s.Groups[i].Size(); got != w {
			t.Errorf("%s: %v faults, want %v", s.Groups[i].Name, got, w)
		}
	}
}

// What is sampled is possible, lies in the space and reads back.
func TestSamplesLieInTheSpace(t *testing.T) {
	s := testSpace()
	rapid.Check(t, func(t *rapid.T) {
		seed, index := rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "index")
		group, f := s.Sample(1, seed, index)
		if err := f.check(); err != nil {
			t.Fatal(f, err)
		}
		if again, err := ParseFault(f.String()); err != nil || cmp.Diff(f, again) != "" {
			t.Fatalf("%s: %v", f, err)
		}
		if _, twice := s.Sample(1, seed, index); cmp.Diff(f, twice) != "" {
			t.Fatalf("sampled %s, then %s", f, twice)
		}
		c := f.Trigger.Count
		switch group {
		case "null":
			if c < 1 || c > 5 || f.Trigger.Offset > 9 {
				t.Fatal(f)
			}
		default:
			if c < 150 || c >= 400 || c >= 200 && c < 300 {
				t.Fatalf("%s is outside the window", f)
			}
		}
		switch group {
		case "burst":
			if f.Target.Address != 0x1000 && f.Target.Address != 0x1001 || len(f.Bits) != 3 ||
				f.Target.Address == 0x1001 && f.Bits[2] > 7 {
				t.Fatal(f)
			}
		case "mask":
			first, last := f.Target.Address+uint64(f.Bits[0]/8), f.Target.Address+uint64(f.Bits[3]/8)
			if first < 0x1004 || last >= 0x1014 || first/8 != last/8 {
				t.Fatalf("%s leaves its word or its range", f)
			}
		}
	})
}

func TestSamplesSpreadEvenly(t *testing.T) {
	s := testSpace()
	groups := map[string]int{}
	hits := map[string]int{}
	const n = 12000
	for i := range uint64(n) {
		g, f := s.Sample(7, 7, i)
		groups[g]++
		if g == "registers" {
			hits[f.Target.String()]++
		}
	}
	// Binomial, five standard deviations.
	near := func(what string, got int, p float64, of int) {
		if mean := p * float64(of); float64(got) < mean-280 || float64(got) > mean+280 {
			t.Errorf("%s came %d times of %d, expected about %.0f", what, got, of, mean)
		}
	}
	near("registers", groups["registers"], 0.5, n)
	near("burst", groups["burst"], 1.0/6, n)
	near("mask", groups["mask"], 1.0/6, n)
	near("null", groups["null"], 1.0/6, n)
	near("rax", hits["register rax"], 64.0/82, groups["registers"])
	near("rflags", hits["register rflags"], 18.0/82, groups["registers"])
}

func TestSpacesThatCannotBeSampled(t *testing.T) {
	window := Window{Timeline: timeline([2]uint64{0, 5}), To: 5}
	rax := []Location{{Target: RegisterTarget(RAX), Bits: RAX.Storage()}}
	tests := []struct {
		s    Space
		want string
	}{
		{Space{}, "the fault space is empty: there is no fault block"},
		{Space{Groups: []Group{{Name: "a", Weight: 1, Locations: rax}}}, `fault "a": there is no moment at which it could happen`},
		{Space{Groups: []Group{{Name: "a", Weight: 1, Locations: rax, Moments: Window{}}}}, `fault "a": the golden run has no moment at which it could happen`},
		{Space{Groups: []Group{{Name: "a", Weight: 1, Moments: window}}}, `fault "a": there is no bit it could hit`},
		{Space{Groups: []Group{{Name: "a", Locations: rax, Moments: window}}}, "every fault has weight 0"},
		{Space{Groups: []Group{{Name: "a", Weight: -1, Locations: rax, Moments: window}}}, `fault "a": weight -1 is out of range`},
	}
	for _, tt := range tests {
		if err := tt.s.Check(); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}
