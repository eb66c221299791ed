package detect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// treeFile is the tree as people read it: questions that contain the
// answers to both ways they can go.
//
//	{"if": "instructions <= 412",
//	 "then": {"node": 1, "verdict": "normal", "normal": 9120, "anomalous": 0},
//	 "else": {"node": 2, "verdict": "anomalous", "normal": 0, "anomalous": 31}}
//
// A leaf's node number is the reason that a detection reports.
type treeFile struct {
	Model   string    `json:"model"`
	Version int       `json:"version"`
	Trained Origin    `json:"trained"`
	Tree    *fileNode `json:"tree"`
}

type fileNode struct {
	If   string    `json:"if,omitempty"`
	Then *fileNode `json:"then,omitempty"`
	Else *fileNode `json:"else,omitempty"`

	Node      *int   `json:"node,omitempty"`
	Verdict   string `json:"verdict,omitempty"`
	Normal    *int   `json:"normal,omitempty"`
	Anomalous *int   `json:"anomalous,omitempty"`
}

const (
	modelName        = "vm transition decision tree"
	verdictNormal    = "normal"
	verdictAnomalous = "anomalous"
	maxNesting       = 1000
)

// WriteJSON writes the tree for people. Equal trees give equal bytes.
func (t *Tree) WriteJSON(w io.Writer) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // keep "<=" readable
	enc.SetIndent("", " ")
	if err := enc.Encode(treeFile{modelName, treeVersion, t.Origin, t.fileNode(0)}); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (t *Tree) fileNode(i int) *fileNode {
	n := &t.Nodes[i]
	if n.Leaf {
		verdict := verdictNormal
		if n.Anomalous {
			verdict = verdictAnomalous
		}
		return &fileNode{Node: &i, Verdict: verdict, Normal: &n.NormalSamples, Anomalous: &n.AnomalousSamples}
	}
	return &fileNode{
		If:   fmt.Sprintf("%s <= %d", n.Feature, n.Threshold),
		Then: t.fileNode(n.Left),
		Else: t.fileNode(n.Right),
	}
}

// ReadJSON reads what WriteJSON wrote, or a person did.
func ReadJSON(r io.Reader) (*Tree, error) {
	var f treeFile
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("transition model: %w", err)
	}
	if f.Model != modelName || f.Version != treeVersion {
		return nil, fmt.Errorf("transition model: this is %q version %d, not %q version %d",
			f.Model, f.Version, modelName, treeVersion)
	}
	t := &Tree{Origin: f.Trained}
	if err := t.add(f.Tree, 0); err != nil {
		return nil, fmt.Errorf("transition model: %w", err)
	}
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("transition model: %w", err)
	}
	return t, nil
}

// add appends a node and everything below it, parents before children, the
// left side before the right.
func (t *Tree) add(f *fileNode, depth int) error {
	at := len(t.Nodes)
	if f == nil {
		return fmt.Errorf("node %d is missing", at)
	}
	if depth > maxNesting {
		return fmt.Errorf("more than %d questions below each other", maxNesting)
	}
	if f.If == "" {
		return t.addLeaf(f)
	}
	var n Node
	feature, threshold, ok := strings.Cut(f.If, " <= ")
	var err error
	if n.Feature, err = ParseFeature(feature); err != nil || !ok {
		return fmt.Errorf("node %d: %q is not a question such as \"loads <= 12\"", at, f.If)
	}
	if n.Threshold, err = strconv.ParseUint(threshold, 10, 64); err != nil {
		return fmt.Errorf("node %d: %q: %q is not a number", at, f.If, threshold)
	}
	t.Nodes = append(t.Nodes, n)
	t.Nodes[at].Left = len(t.Nodes)
	if err := t.add(f.Then, depth+1); err != nil {
		return err
	}
	t.Nodes[at].Right = len(t.Nodes)
	return t.add(f.Else, depth+1)
}

func (t *Tree) addLeaf(f *fileNode) error {
	n := Node{Leaf: true}
	switch f.Verdict {
	case verdictAnomalous:
		n.Anomalous = true
	case verdictNormal:
	default:
		return fmt.Errorf("node %d: verdict %q is neither %s nor %s", len(t.Nodes), f.Verdict, verdictNormal, verdictAnomalous)
	}
	if f.Node != nil && *f.Node != len(t.Nodes) {
		return fmt.Errorf("node %d is called %d", len(t.Nodes), *f.Node)
	}
	if f.Normal != nil {
		n.NormalSamples = *f.Normal
	}
	if f.Anomalous != nil {
		n.AnomalousSamples = *f.Anomalous
	}
	t.Nodes = append(t.Nodes, n)
	return nil
}
