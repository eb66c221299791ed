package detect

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The boot module's form: see "The transition model" in hv/src/include/abi.h.
const (
	treeMagic   = 0x45455254 // "TREE"
	treeVersion = 1
	treeLeaf    = 0xffffffff

	headerWords = 3
	nodeWords   = 5
)

// Encode gives the boot module that the hypervisor reads the tree from.
func (t *Tree) Encode() []byte {
	words := []uint32{treeMagic, treeVersion, uint32(len(t.Nodes))}
	for _, n := range t.Nodes {
		if n.Leaf {
			verdict := uint32(0)
			if n.Anomalous {
				verdict = 1
			}
			words = append(words, treeLeaf, verdict, 0, 0, 0)
			continue
		}
		words = append(words, uint32(n.Feature), uint32(n.Threshold), uint32(n.Threshold>>32),
			uint32(n.Left), uint32(n.Right))
	}
	out := make([]byte, 0, 4*len(words))
	for _, w := range words {
		out = binary.LittleEndian.AppendUint32(out, w)
	}
	return out
}

// Decode reads what Encode wrote. What only people need is not in it.
func Decode(module []byte) (*Tree, error) {
	if len(module)%4 != 0 || len(module) < 4*headerWords {
		return nil, fmt.Errorf("transition model: %d bytes are no header and whole nodes", len(module))
	}
	words := make([]uint32, len(module)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(module[4*i:])
	}
	if words[0] != treeMagic {
		return nil, errors.New("transition model: does not begin with TREE")
	}
	if words[1] != treeVersion {
		return nil, fmt.Errorf("transition model: version %d, only %d is known", words[1], treeVersion)
	}
	count := uint64(words[2])
	if words = words[headerWords:]; uint64(len(words)) != count*nodeWords {
		return nil, fmt.Errorf("transition model: %d nodes announced, %d words follow", count, len(words))
	}
	t := &Tree{}
	for ; len(words) > 0; words = words[nodeWords:] {
		if words[0] == treeLeaf {
			t.Nodes = append(t.Nodes, Node{Leaf: true, Anomalous: words[1] == 1})
			continue
		}
		if words[0] >= uint32(NumFeatures) {
			return nil, fmt.Errorf("transition model: node %d: feature %d does not exist", len(t.Nodes), words[0])
		}
		t.Nodes = append(t.Nodes, Node{
			Feature:   Feature(words[0]),
			Threshold: uint64(words[1]) | uint64(words[2])<<32,
			Left:      int(words[3]),
			Right:     int(words[4]),
		})
	}
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("transition model: %w", err)
	}
	return t, nil
}
