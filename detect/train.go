package detect

// Options are the knobs of training.
type Options struct {
	MaxDepth int `json:"max_depth"`
	// MinLeaf is the least number of samples a leaf may stand on.
	MinLeaf int `json:"min_leaf"`
	// NormalWeight is how many anomalous samples one normal sample
	// outweighs: the price of a false alarm in missed faults.
	NormalWeight int `json:"normal_weight"`
}
