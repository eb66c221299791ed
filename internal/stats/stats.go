// Package stats holds the few statistics that campaigns need: how many
// experiments give a margin, what interval a proportion lies in, and
// whether an interval passes a bar.
//
// Intervals are Wilson's, or Clopper and Pearson's where no error of
// approximation is wanted; never Wald's, which for 2 escapes in 1,000
// reaches below zero.
package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with the bounds of its confidence interval.
type Interval struct {
	Value, Low, High float64
}

// z is the two-sided quantile of the normal distribution: 1.96 for 95 %.
func z(confidence float64) float64 {
	return distuv.UnitNormal.Quantile(0.5 + confidence/2)
}

// SampleSize is how many of a population to look at for a proportion to be
// known to ±margin, whatever it is: Leveugle, Calvez, Maistri, Vanhauwaert:
// Statistical fault injection: quantified error and confidence, DATE 2009,
// with p = 0.5. Rounded as its tables are: 9,604 for 1 % at 95 %, 16,587 at
// 99 %.
func SampleSize(population, margin, confidence float64) int {
	if population <= 0 {
		return 0
	}
	t := z(confidence)
	n := population / (1 + margin*margin*(population-1)/(t*t*0.25))
	return int(math.Round(n))
}

// Margin is the margin that n experiments give, the inverse of SampleSize.
func Margin(n int, population, confidence float64) float64 {
	if n <= 0 {
		return 1
	}
	t := z(confidence)
	correction := 1.0
	if population > 1 {
		correction = max(0, (population-float64(n))/(population-1))
	}
	return min(1, t*math.Sqrt(0.25/float64(n)*correction))
}

// Wilson gives the score interval of k hits in n trials: E. B. Wilson,
// Probable inference, the law of succession, and statistical inference, 1927.
// Without trials nothing is known: the interval is everything.
func Wilson(k, n int, confidence float64) Interval {
	return wilson(float64(k), float64(n), confidence)
}

func wilson(k, n, confidence float64) Interval {
	if n <= 0 {
		return Interval{math.NaN(), 0, 1}
	}
	p, t := k/n, z(confidence)
	t2 := t * t
	middle := (p + t2/(2*n)) / (1 + t2/n)
	half := t / (1 + t2/n) * math.Sqrt(p*(1-p)/n+t2/(4*n*n))
	i := Interval{p, max(0, middle-half), min(1, middle+half)}
	if k == 0 {
		i.Low = 0 // exactly, not to within rounding
	}
	if k == n {
		i.High = 1
	}
	return i
}

// ClopperPearson gives the exact interval of k hits in n trials: it covers
// the truth at least as often as it says, and often more.
func ClopperPearson(k, n int, confidence float64) Interval {
	if n <= 0 {
		return Interval{math.NaN(), 0, 1}
	}
	tail := (1 - confidence) / 2
	i := Interval{float64(k) / float64(n), 0, 1}
	if k > 0 {
		i.Low = distuv.Beta{Alpha: float64(k), Beta: float64(n-k) + 1}.Quantile(tail)
	}
	if k < n {
		i.High = distuv.Beta{Alpha: float64(k) + 1, Beta: float64(n - k)}.Quantile(1 - tail)
	}
	return i
}

// Weighted is a proportion of trials that stand for different numbers of
// cases. The zero value has seen none.
type Weighted struct {
	sum, squares, hits float64
}

// Add counts a trial that stands for weight cases.
func (w *Weighted) Add(weight float64, hit bool) {
	w.sum += weight
	w.squares += weight * weight
	if hit {
		w.hits += weight
	}
}

// Interval is Wilson's for as many equal trials as the weighted ones are
// worth (Kish's effective sample size).
func (w *Weighted) Interval(confidence float64) Interval {
	if w.sum == 0 {
		return Interval{math.NaN(), 0, 1}
	}
	effective := w.sum * w.sum / w.squares
	return wilson(w.hits/w.sum*effective, effective, confidence)
}

// Sum adds independent estimates, each scaled: an absolute number of
// failures from the shares in several groups. The bounds are MOVER's (Zou,
// Huang, Zhang, 2009): squared distances add up.
func Sum(parts []Interval, scale []float64) Interval {
	var sum Interval
	var below, above float64
	for i, p := range parts {
		if math.IsNaN(p.Value) {
			p.Value = 0
		}
		sum.Value += scale[i] * p.Value
		below += math.Pow(scale[i]*(p.Value-p.Low), 2)
		above += math.Pow(scale[i]*(p.High-p.Value), 2)
	}
	sum.Low = max(0, sum.Value-math.Sqrt(below))
	sum.High = sum.Value + math.Sqrt(above)
	return sum
}

// Percentile gives the least value that at least the share q of all values
// does not exceed (nearest rank: it is always one of them), 0 for none.
func Percentile(values []uint64, q float64) uint64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
