package stats

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestSampleSize(t *testing.T) {
	tests := []struct {
		population, margin, confidence float64
		want                           int
	}{
		{1e15, 0.01, 0.95, 9604},
		{1e15, 0.01, 0.99, 16587},
		{1e15, 0.05, 0.95, 384},
		{100000, 0.01, 0.95, 8762}, // 100000 / (1 + 9.9999/0.96036)
		{100, 0.01, 0.95, 99},
		{1, 0.01, 0.95, 1},
		{0, 0.01, 0.95, 0},
	}
	for _, tt := range tests {
		if got := SampleSize(tt.population, tt.margin, tt.confidence); got != tt.want {
			t.Errorf("SampleSize(%v, %v, %v) = %d, want %d", tt.population, tt.margin, tt.confidence, got, tt.want)
		}
	}
	if m := Margin(9604, 1e15, 0.95); !near(m, 0.01, 1e-5) {
		t.Errorf("9,604 experiments give a margin of %v", m)
	}
}

// Values from R: prop.test(correct = FALSE) and binom.test.
func TestIntervals(t *testing.T) {
	tests := []struct {
		name string
		got  Interval
		want Interval
	}{
		{"Wilson 2 of 1000", Wilson(2, 1000, 0.95), Interval{0.002, 0.000548678, 0.007262}},
		{"Wilson 0 of 10", Wilson(0, 10, 0.95), Interval{0, 0, 0.2775328}},
		{"Wilson 10 of 10", Wilson(10, 10, 0.95), Interval{1, 0.7224672, 1}},
		{"Wilson 990 of 1000", Wilson(990, 1000, 0.95), Interval{0.99, 0.981690, 0.994558}},
		{"exact 2 of 1000", ClopperPearson(2, 1000, 0.95), Interval{0.002, 0.000242298, 0.007206}},
		{"exact 0 of 10", ClopperPearson(0, 10, 0.95), Interval{0, 0, 0.3084971}},
		{"exact 10 of 10", ClopperPearson(10, 10, 0.95), Interval{1, 0.6915029, 1}},
	}
	for _, tt := range tests {
		if !near(tt.got.Value, tt.want.Value, 1e-9) || !near(tt.got.Low, tt.want.Low, 2e-6) || !near(tt.got.High, tt.want.High, 2e-6) {
			t.Errorf("%s: %+v, want %+v", tt.name, tt.got, tt.want)
		}
	}
	if i := Wilson(0, 0, 0.95); !math.IsNaN(i.Value) || i.Low != 0 || i.High != 1 {
		t.Errorf("nothing known: %+v", i)
	}
}

func TestIntervalsHoldTheirValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20000).Draw(t, "n")
		k := rapid.IntRange(0, n).Draw(t, "k")
		c := rapid.Float64Range(0.5, 0.999).Draw(t, "confidence")
		for _, i := range []Interval{Wilson(k, n, c), ClopperPearson(k, n, c)} {
			if !(0 <= i.Low && i.Low <= i.Value && i.Value <= i.High && i.High <= 1) {
				t.Fatalf("%+v", i)
			}
		}
	})
}

func TestWeighted(t *testing.T) {
	var equal, unequal Weighted
	for i := range 100 {
		equal.Add(7, i < 30)
		unequal.Add(float64(1+i%10*5), i%10 == 9)
	}
	a, b := equal.Interval(0.95), Wilson(30, 100, 0.95)
	if !near(a.Value, b.Value, 1e-12) || !near(a.Low, b.Low, 1e-9) || !near(a.High, b.High, 1e-9) {
		t.Errorf("equal weights: %+v, unweighted %+v", a, b)
	}
	// 10 of each weight 1, 6, …, 46; those of weight 46 hit.
	u := unequal.Interval(0.95)
	if want := 46.0 / 235; !near(u.Value, want, 1e-12) {
		t.Errorf("share %v, want %v", u.Value, want)
	}
	if u.High-u.Low <= Wilson(20, 100, 0.95).High-Wilson(20, 100, 0.95).Low {
		t.Error("unequal weights must widen the interval")
	}
}

func TestSum(t *testing.T) {
	s := Sum([]Interval{{0.5, 0.4, 0.6}, {0.1, 0.1, 0.1}, {math.NaN(), 0, 1}}, []float64{100, 10, 0})
	if !near(s.Value, 51, 1e-9) || !near(s.Low, 41, 1e-9) || !near(s.High, 61, 1e-9) {
		t.Errorf("%+v", s)
	}
}

func TestPercentile(t *testing.T) {
	values := []uint64{50, 10, 40, 20, 30}
	for _, tt := range []struct {
		q    float64
		want uint64
	}{{0, 10}, {0.2, 10}, {0.21, 20}, {0.5, 30}, {0.95, 50}, {1, 50}} {
		if got := Percentile(values, tt.q); got != tt.want {
			t.Errorf("p%v = %d, want %d", 100*tt.q, got, tt.want)
		}
	}
	if Percentile(nil, 0.5) != 0 {
		t.Error("a percentile of nothing")
	}
}

func TestVerdicts(t *testing.T) {
	tests := []struct {
		name string
		got  Verdict
		want Verdict
	}{
		{"clearly above", AtLeast(Interval{0.995, 0.992, 0.997}, 0.99), Pass},
		{"clearly below", AtLeast(Interval{0.9, 0.88, 0.92}, 0.99), Fail},
		{"too few to say", AtLeast(Interval{1, 0.72, 1}, 0.99), Inconclusive},
		{"nothing known", AtLeast(Wilson(0, 0, 0.95), 0.99), Inconclusive},
		{"all of them", AtLeast(Interval{1, 0.72, 1}, 1), Pass},
		{"all but one", AtLeast(Interval{0.999, 0.99, 0.9999}, 1), Fail},
		{"nothing known of all", AtLeast(Wilson(0, 0, 0.95), 1), Inconclusive},
		{"rare enough", AtMost(Interval{0.001, 0, 0.002}, 0.01), Pass},
		{"too often", AtMost(Interval{0.1, 0.05, 0.2}, 0.01), Fail},
		{"perhaps too often", AtMost(Interval{0.001, 0, 0.02}, 0.01), Inconclusive},
		{"never", AtMost(Interval{0, 0, 0.02}, 0), Pass},
		{"once is too often", AtMost(Interval{0.001, 0.0002, 0.02}, 0), Fail},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}
