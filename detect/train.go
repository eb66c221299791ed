package detect

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/flipvisor/flipvisor/inject"
)

// Options are the knobs of training.
type Options struct {
	MaxDepth int `json:"max_depth"`
	// MinLeaf is the least number of samples a leaf may stand on.
	MinLeaf int `json:"min_leaf"`
	// NormalWeight is how many anomalous samples one normal sample
	// outweighs: the price of a false alarm in missed faults.
	NormalWeight int `json:"normal_weight"`
	// Window is how many transitions after the activation of a fault may
	// be the one that looks anomalous.
	Window int `json:"window"`
}

// DefaultOptions are the knobs where nobody touched them.
func DefaultOptions() Options {
	return Options{MaxDepth: 24, MinLeaf: 1, NormalWeight: 100, Window: 1}
}

// Sample is a transition of which it is known whether something was wrong.
type Sample struct {
	Features  inject.Features
	Anomalous bool
}

// Train grows a tree (CART: Breiman, Friedman, Olshen, Stone, 1984; Gini
// impurity). It depends on the set of samples and the options alone: equal
// sets in any order, on any machine, give the same tree.
func Train(samples []Sample, o Options) (*Tree, error) {
	if len(samples) == 0 {
		return nil, fmt.Errorf("there is no sample to train from")
	}
	g := grower{options: o}
	all := merge(samples)
	root := g.grow(all, 0)
	t := &Tree{Origin: Origin{Options: o}}
	t.Origin.Normal, t.Origin.Anomalous = count(all)
	t.number(root)
	return t, nil
}

// point is all samples with the same features.
type point struct {
	features          inject.Features
	normal, anomalous int
}

func merge(samples []Sample) []point {
	at := make(map[inject.Features]int, len(samples))
	var all []point
	for _, s := range samples {
		i, known := at[s.Features]
		if !known {
			i = len(all)
			at[s.Features] = i
			all = append(all, point{features: s.Features})
		}
		if s.Anomalous {
			all[i].anomalous++
		} else {
			all[i].normal++
		}
	}
	return all
}

func count(points []point) (normal, anomalous int) {
	for _, p := range points {
		normal += p.normal
		anomalous += p.anomalous
	}
	return normal, anomalous
}

// growing is a node of a tree that has no numbers yet.
type growing struct {
	leaf              bool
	feature           Feature
	threshold         uint64
	left, right       *growing
	normal, anomalous int
	verdict           bool // anomalous
}

type grower struct{ options Options }

func (g *grower) grow(points []point, depth int) *growing {
	n := &growing{leaf: true}
	n.normal, n.anomalous = count(points)
	n.verdict = n.anomalous > n.normal*g.options.NormalWeight
	if depth == g.options.MaxDepth || n.normal == 0 || n.anomalous == 0 {
		return n
	}
	s, ok := g.best(points, n)
	if !ok {
		return n
	}
	left, right := s.divide(points)
	n.leaf, n.feature, n.threshold = false, s.feature, s.threshold
	n.left, n.right = g.grow(left, depth+1), g.grow(right, depth+1)
	if n.left.leaf && n.right.leaf && n.left.verdict == n.right.verdict {
		n.leaf, n.verdict = true, n.left.verdict // a question whose answer does not matter
	}
	return n
}

// split is a question.
type split struct {
	feature   Feature
	threshold uint64
	impurity  float64
}

func (s split) divide(points []point) (left, right []point) {
	for _, p := range points {
		if s.feature.Of(p.features) <= s.threshold {
			left = append(left, p)
		} else {
			right = append(right, p)
		}
	}
	return left, right
}

// best finds the question after which both sides are purest. Of equally
// good ones the first wins, by feature and threshold.
func (g *grower) best(points []point, whole *growing) (best split, ok bool) {
	best.impurity = g.impurity(whole.normal, whole.anomalous)
	sorted := slices.Clone(points)
	for f := range NumFeatures {
		slices.SortFunc(sorted, func(a, b point) int {
			return cmp.Compare(f.Of(a.features), f.Of(b.features))
		})
		normal, anomalous := 0, 0
		for i, p := range sorted[:len(sorted)-1] {
			normal += p.normal
			anomalous += p.anomalous
			value, next := f.Of(p.features), f.Of(sorted[i+1].features)
			if value == next {
				continue
			}
			restNormal, restAnomalous := whole.normal-normal, whole.anomalous-anomalous
			if normal+anomalous < g.options.MinLeaf || restNormal+restAnomalous < g.options.MinLeaf {
				continue
			}
			impurity := g.impurity(normal, anomalous) + g.impurity(restNormal, restAnomalous)
			if impurity >= best.impurity {
				continue
			}
			best = split{f, value, impurity}
			// No sample lies between the two values. What does one day is
			// more likely normal: that side gets the gap.
			if normal*(restNormal+restAnomalous) > restNormal*(normal+anomalous) {
				best.threshold = next - 1
			}
			ok = true
		}
	}
	return best, ok
}

// impurity is Gini's, times the weight of the samples. The products are
// exact and there is no multiplication whose rounding could be skipped, so
// that every machine computes the same.
func (g *grower) impurity(normal, anomalous int) float64 {
	w := normal * g.options.NormalWeight
	if w+anomalous == 0 {
		return 0
	}
	return float64(w*anomalous) / float64(w+anomalous)
}

// number appends a node and those below it: parents before children, the
// left side before the right.
func (t *Tree) number(n *growing) int {
	at := len(t.Nodes)
	t.Nodes = append(t.Nodes, Node{
		Leaf: n.leaf, Anomalous: n.leaf && n.verdict, NormalSamples: n.normal, AnomalousSamples: n.anomalous,
	})
	if !n.leaf {
		t.Nodes[at].Feature, t.Nodes[at].Threshold = n.feature, n.threshold
		t.Nodes[at].NormalSamples, t.Nodes[at].AnomalousSamples = 0, 0
		t.Nodes[at].Left = t.number(n.left)
		t.Nodes[at].Right = t.number(n.right)
	}
	return at
}

// Score is how a tree does on samples.
type Score struct {
	Normal      int `json:"normal"`
	FalseAlarms int `json:"false_alarms"`
	Anomalous   int `json:"anomalous"`
	Found       int `json:"found"`
}

// Score judges each sample.
func (t *Tree) Score(samples []Sample) (s Score) {
	for i := range samples {
		alarm, _ := t.Judge(samples[i].Features)
		switch {
		case samples[i].Anomalous:
			s.Anomalous++
			if alarm {
				s.Found++
			}
		default:
			s.Normal++
			if alarm {
				s.FalseAlarms++
			}
		}
	}
	return s
}
