package detect

import (
	"bytes"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/flipvisor/flipvisor/inject"
)

// exampleTree says: an exit for cpuid (10) must take 100 to 200 instructions.
func exampleTree() *Tree {
	return &Tree{Nodes: []Node{
		{Feature: Reason, Threshold: 10, Left: 1, Right: 6},
		{Feature: Instructions, Threshold: 99, Left: 2, Right: 3},
		{Leaf: true, Anomalous: true, AnomalousSamples: 3},
		{Feature: Instructions, Threshold: 1<<40 + 200, Left: 4, Right: 5},
		{Leaf: true, NormalSamples: 1000},
		{Leaf: true, Anomalous: true, AnomalousSamples: 2},
		{Leaf: true, NormalSamples: 500, AnomalousSamples: 1},
	}, Origin: Origin{Campaign: "c", Seed: 5, Normal: 1500, Anomalous: 6, Options: DefaultOptions()}}
}

func TestJudge(t *testing.T) {
	tests := []struct {
		v    inject.Features
		want bool
		leaf int
	}{
		{inject.Features{Reason: 10, Instructions: 99}, true, 2},
		{inject.Features{Reason: 10, Instructions: 100}, false, 4},
		{inject.Features{Reason: 10, Instructions: 1<<40 + 200}, false, 4},
		{inject.Features{Reason: 10, Instructions: 1<<40 + 201}, true, 5},
		{inject.Features{Reason: 11, Instructions: 1}, false, 6},
	}
	tree := exampleTree()
	for _, tt := range tests {
		if got, leaf := tree.Judge(tt.v); got != tt.want || leaf != tt.leaf {
			t.Errorf("%+v: %v by leaf %d, want %v by %d", tt.v, got, leaf, tt.want, tt.leaf)
		}
	}
	if d := tree.Depth(); d != 3 {
		t.Errorf("depth %d", d)
	}
}

func TestTreeAsJSON(t *testing.T) {
	var b bytes.Buffer
	if err := exampleTree().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	const want = `{
 "model": "vm transition decision tree",
 "version": 1,
 "trained": {
  "campaign": "c",
  "seed": 5,
  "normal": 1500,
  "anomalous": 6,
  "options": {
   "max_depth": 24,
   "min_leaf": 1,
   "normal_weight": 100,
   "window": 1
  }
 },
 "tree": {
  "if": "reason <= 10",
  "then": {
   "if": "instructions <= 99",
   "then": {
    "node": 2,
    "verdict": "anomalous",
    "normal": 0,
    "anomalous": 3
   },
   "else": {
    "if": "instructions <= 1099511627976",
    "then": {
     "node": 4,
     "verdict": "normal",
     "normal": 1000,
     "anomalous": 0
    },
    "else": {
     "node": 5,
     "verdict": "anomalous",
     "normal": 0,
     "anomalous": 2
    }
   }
  },
  "else": {
   "node": 6,
   "verdict": "normal",
   "normal": 500,
   "anomalous": 1
  }
 }
}
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	back, err := ReadJSON(&b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(exampleTree(), back); d != "" {
		t.Errorf("read back (-want +got):\n%s", d)
	}
}

func TestTreeAsBootModule(t *testing.T) {
	tree := exampleTree()
	module := tree.Encode()
	want := "TREE" + "\x01\x00\x00\x00" + "\x07\x00\x00\x00" +
		"\x00\x00\x00\x00" + "\x0a\x00\x00\x00" + "\x00\x00\x00\x00" + "\x01\x00\x00\x00" + "\x06\x00\x00\x00"
	if got := string(module[:len(want)]); got != want {
		t.Errorf("begins %q, want %q", got, want)
	}
	if len(module) != 4*(3+5*7) {
		t.Errorf("%d bytes", len(module))
	}
	back, err := Decode(module)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tree.Nodes {
		tree.Nodes[i].NormalSamples, tree.Nodes[i].AnomalousSamples = 0, 0
	}
	if d := cmp.Diff(tree.Nodes, back.Nodes); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// The numbers of the format are those of the header that the hypervisor is
// compiled with.
func TestFormatIsTheHypervisors(t *testing.T) {
	header, err := os.ReadFile("../hv/src/include/abi.h")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint64{
		"TREE_MAGIC": treeMagic, "TREE_VERSION": treeVersion, "TREE_LEAF": treeLeaf,
		"FEATURE_REASON": uint64(Reason), "FEATURE_INSTRUCTIONS": uint64(Instructions),
		"FEATURE_BRANCHES": uint64(Branches), "FEATURE_LOADS": uint64(Loads), "FEATURE_STORES": uint64(Stores),
		"REASON_IDLE": uint64(inject.Idle),
	}
	for name, value := range want {
		m := regexp.MustCompile(`(?m)^#define ` + name + `\s+(\w+?)u?\s`).FindSubmatch(header)
		if m == nil {
			t.Errorf("%s is not in abi.h", name)
			continue
		}
		if got, err := strconv.ParseUint(string(m[1]), 0, 64); err != nil || got != value {
			t.Errorf("%s is %s in abi.h, %#x here", name, m[1], value)
		}
	}
}

func TestDamagedModels(t *testing.T) {
	module := exampleTree().Encode()
	change := func(at int, b byte) []byte {
		m := bytes.Clone(module)
		m[at] = b
		return m
	}
	for _, tt := range []struct {
		module []byte
		want   string
	}{
		{nil, "0 bytes"},
		{module[:11], "11 bytes"},
		{change(0, 'X'), "does not begin with TREE"},
		{change(4, 2), "version 2"},
		{change(8, 8), "8 nodes announced, 35 words follow"},
		{module[:len(module)-20], "7 nodes announced, 30 words follow"},
		{change(12, 5), "feature 5 does not exist"},
		{change(24, 0), "child 0 does not come after"},
		{change(24, 9), "child 9 does not come after"},
		{change(24, 2), "node 1 has 0 parents"},
	} {
		if _, err := Decode(tt.module); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	const head = `{"model":"vm transition decision tree","version":1,"trained":{"normal":0,"anomalous":0,"options":{}},"tree":`
	for _, tt := range []struct{ text, want string }{
		{"", "EOF"},
		{`{"model":"another","version":1}`, `this is "another" version 1`},
		{`{"modle":"x"}`, `unknown field "modle"`},
		{head + `null}`, "node 0 is missing"},
		{head + `{"verdict":"odd"}}`, `verdict "odd" is neither`},
		{head + `{"node":3,"verdict":"normal"}}`, "node 0 is called 3"},
		{head + `{"if":"loads < 3","then":{"verdict":"normal"},"else":{"verdict":"normal"}}}`, "is not a question"},
		{head + `{"if":"loads <= x","then":{"verdict":"normal"},"else":{"verdict":"normal"}}}`, `"x" is not a number`},
		{head + `{"if":"loads <= 3","then":{"verdict":"normal"}}}`, "node 2 is missing"},
	} {
		if _, err := ReadJSON(strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", tt.text, err, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(exampleTree().Encode())
	f.Fuzz(func(t *testing.T, module []byte) {
		tree, err := Decode(module)
		if err != nil {
			return
		}
		tree.Judge(inject.Features{Reason: 10, Loads: 1 << 63}) // ends
	})
}

func FuzzReadJSON(f *testing.F) {
	var b bytes.Buffer
	if err := exampleTree().WriteJSON(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, err := ReadJSON(bytes.NewReader(text))
		if err != nil {
			return
		}
		if _, err := Decode(tree.Encode()); err != nil {
			t.Fatalf("read, but its module is refused: %v", err)
		}
	})
}

// healthy are transitions of four exit reasons, each with its own range of
// work; sick ones take longer or touch memory more.
func examples(r *rand.Rand, normal, anomalous int) []Sample {
	var all []Sample
	for range normal {
		all = append(all, Sample{Features: healthy(r)})
	}
	for range anomalous {
		f := healthy(r)
		f.Instructions += 300 + r.Uint64N(1000)
		f.Loads += r.Uint64N(100)
		all = append(all, Sample{Features: f, Anomalous: true})
	}
	return all
}

func healthy(r *rand.Rand) inject.Features {
	reason := []uint64{1, 10, 18, 30}[r.IntN(4)]
	n := 100*reason + r.Uint64N(50)
	return inject.Features{Reason: reason, Instructions: n, Branches: n / 5, Loads: n / 4, Stores: n / 8}
}

func TestTrainingSeparates(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	train, judge := examples(r, 5000, 300), examples(r, 5000, 300)
	tree, err := Train(train, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Check(); err != nil {
		t.Fatal(err)
	}
	if s := tree.Score(train); s.FalseAlarms != 0 || s.Found < 299 {
		t.Errorf("on the training set: %+v", s)
	}
	s := tree.Score(judge)
	if s.FalseAlarms != 0 {
		t.Errorf("%d false alarms in %d", s.FalseAlarms, s.Normal)
	}
	if s.Found < s.Anomalous*95/100 {
		t.Errorf("found %d of %d", s.Found, s.Anomalous)
	}
}

func TestTrainingIsOfTheSetAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		r := rand.New(rand.NewPCG(seed, 0))
		samples := examples(r, 200, 40)
		o := DefaultOptions()
		o.MaxDepth = rapid.IntRange(1, 10).Draw(t, "depth")
		o.MinLeaf = rapid.IntRange(1, 20).Draw(t, "leaf")
		a, err := Train(samples, o)
		if err != nil {
			t.Fatal(err)
		}
		r.Shuffle(len(samples), func(i, j int) { samples[i], samples[j] = samples[j], samples[i] })
		b, err := Train(samples, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, b); d != "" {
			t.Fatalf("another order gave another tree:\n%s", d)
		}
		if a.Check() != nil || a.Depth() > o.MaxDepth {
			t.Fatalf("%v, depth %d", a.Check(), a.Depth())
		}
		for _, n := range a.Nodes {
			if n.Leaf && n.NormalSamples+n.AnomalousSamples < o.MinLeaf && len(a.Nodes) > 1 {
				t.Fatalf("a leaf of %d samples", n.NormalSamples+n.AnomalousSamples)
			}
		}
		back, err := Decode(a.Encode())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			x, i := a.Judge(s.Features)
			y, j := back.Judge(s.Features)
			if x != y || i != j {
				t.Fatalf("%+v: the module judges %v by %d, the tree %v by %d", s, y, j, x, i)
			}
		}
	})
}

// What is normal even once is not called anomalous for a hundred faults that
// look the same.
func TestNormalSamplesWeighMore(t *testing.T) {
	f := inject.Features{Reason: 10, Instructions: 100}
	samples := []Sample{{Features: f}}
	for range 100 {
		samples = append(samples, Sample{f, true})
	}
	tree, err := Train(samples, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if alarm, _ := tree.Judge(f); alarm {
		t.Error("a false alarm")
	}
	tree, err = Train(append(samples, Sample{f, true}), DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if alarm, _ := tree.Judge(f); !alarm {
		t.Error("101 to 1 is still normal")
	}
}

// The gap between what is normal and what is not belongs to the normal side.
func TestGapsAreNormal(t *testing.T) {
	at := func(n uint64) inject.Features { return inject.Features{Instructions: n} }
	tree, err := Train([]Sample{{at(100), false}, {at(900), true}}, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		n     uint64
		alarm bool
	}{{100, false}, {500, false}, {899, false}, {900, true}} {
		if alarm, _ := tree.Judge(at(tt.n)); alarm != tt.alarm {
			t.Errorf("%d: alarm %v", tt.n, alarm)
		}
	}
	tree, err = Train([]Sample{{at(100), true}, {at(900), false}}, DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if alarm, _ := tree.Judge(at(101)); alarm {
		t.Error("101 is called anomalous, 100 was")
	}
	if _, err := Train(nil, DefaultOptions()); err == nil {
		t.Error("trained from nothing")
	}
}
