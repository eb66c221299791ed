package detect

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
