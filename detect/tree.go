package detect

import (
	"fmt"

	"github.com/flipvisor/flipvisor/inject"
)

// Feature is one of the five numbers the tree asks about, numbered as in
// abi.h.
type Feature uint8

// The features, with the names the paper gives them.
const (
	Reason       Feature = iota // VMER
	Instructions                // RT
	Branches                    // BR
	Loads                       // RM
	Stores                      // WM

	NumFeatures
)

var featureNames = [NumFeatures]string{"reason", "instructions", "branches", "loads", "stores"}

func (f Feature) String() string { return featureNames[f] }

// ParseFeature reads what String prints.
func ParseFeature(s string) (Feature, error) {
	for i, n := range featureNames {
		if n == s {
			return Feature(i), nil
		}
	}
	return 0, fmt.Errorf("unknown feature %q", s)
}

// Of picks the feature's value.
func (f Feature) Of(v inject.Features) uint64 {
	return [NumFeatures]uint64{v.Reason, v.Instructions, v.Branches, v.Loads, v.Stores}[f]
}

// Tree is a decision tree. Node 0 is the root; children have higher numbers
// than their parent.
type Tree struct {
	Nodes []Node
	// Origin says how the tree came to be, for its reader.
	Origin Origin
}

// Node is a question or, with Leaf set, an answer.
type Node struct {
	Leaf bool

	Feature   Feature // a question: is Feature ≤ Threshold?
	Threshold uint64
	Left      int // the node to go to if so
	Right     int // and if not

	Anomalous bool // a leaf's answer
	// How many training samples of either kind ended in this leaf.
	NormalSamples, AnomalousSamples int
}

// Origin is where a tree was trained.
type Origin struct {
	Campaign  string  `json:"campaign,omitempty"`
	Seed      int64   `json:"seed,omitempty"`
	Normal    int     `json:"normal"`    // samples, duplicates included
	Anomalous int     `json:"anomalous"` // samples
	Options   Options `json:"options"`
}

// Judge says whether a transition looks wrong, and which leaf said so.
func (t *Tree) Judge(v inject.Features) (anomalous bool, leaf int) {
	i := 0
	for !t.Nodes[i].Leaf {
		n := &t.Nodes[i]
		if n.Feature.Of(v) <= n.Threshold {
			i = n.Left
		} else {
			i = n.Right
		}
	}
	return t.Nodes[i].Anomalous, i
}

// Depth is the number of questions on the longest way to an answer.
func (t *Tree) Depth() int {
	deepest := make([]int, len(t.Nodes))
	for i := len(t.Nodes) - 1; i >= 0; i-- {
		if n := &t.Nodes[i]; !n.Leaf {
			deepest[i] = 1 + max(deepest[n.Left], deepest[n.Right])
		}
	}
	if len(deepest) == 0 {
		return 0
	}
	return deepest[0]
}

// maxNodes bounds what is read from outside. A trained tree has a few
// hundred nodes.
const maxNodes = 1 << 16

// Check says what keeps the nodes from being a tree.
func (t *Tree) Check() error {
	if len(t.Nodes) == 0 {
		return fmt.Errorf("a tree has at least one node")
	}
	if len(t.Nodes) > maxNodes {
		return fmt.Errorf("%d nodes are more than the %d a tree may have", len(t.Nodes), maxNodes)
	}
	parents := make([]int, len(t.Nodes))
	for i, n := range t.Nodes {
		if n.Leaf {
			continue
		}
		if n.Feature >= NumFeatures {
			return fmt.Errorf("node %d: feature %d does not exist", i, n.Feature)
		}
		for _, child := range []int{n.Left, n.Right} {
			if child <= i || child >= len(t.Nodes) {
				return fmt.Errorf("node %d: its child %d does not come after it", i, child)
			}
			parents[child]++
		}
	}
	for i, n := range parents[1:] {
		if n != 1 {
			return fmt.Errorf("node %d has %d parents", i+1, n)
		}
	}
	return nil
}
