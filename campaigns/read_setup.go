package campaigns

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/flipvisor/flipvisor/detect"
	"github.com/flipvisor/flipvisor/inject"
	"github.com/flipvisor/flipvisor/internal/nearest"
	"github.com/flipvisor/flipvisor/mmu"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

func (r *reader) machine(top *block) Machine {
	m := Machine{Memory: 128 * mib, Counters: 4, Cache: mmu.DefaultCache(), HangFactor: 2}
	outer := top.only("machine")
	if outer == nil {
		return m
	}
	b := r.open(outer.Body, outer.DefRange, []string{"memory", "hang_factor"}, []string{"cpu", "cache level"})
	m.Memory = b.bytes("memory", m.Memory, 16*mib, 4*gib)
	if m.Memory%(2*mib) != 0 {
		b.mistake(b.rangeOf("memory"), "memory is %s; it must be a multiple of 2MiB", formatSize(m.Memory))
	}
	m.HangFactor = b.real("hang_factor", m.HangFactor, 1.1, 1000)
	if inner := b.only("cpu"); inner != nil {
		cpu := r.open(inner.Body, inner.DefRange, []string{"counters"}, nil)
		m.Counters = int(cpu.integer("counters", int64(m.Counters), 0, 8))
	}
	r.caches(b, &m.Cache)
	return m
}

func (r *reader) caches(machine *block, c *mmu.CacheConfig) {
	for _, inner := range machine.content.Blocks.OfType("cache") {
		level, err := inject.ParseCacheLevel(inner.Labels[0])
		if err != nil {
			r.fail(inner.LabelRanges[0], err)
			continue
		}
		b := r.open(inner.Body, inner.DefRange, []string{"size", "ways", "protection"}, nil)
		l := &c[level]
		l.Size = int(b.bytes("size", int64(l.Size), mmu.LineSize, 4*mib))
		l.Ways = int(b.integer("ways", int64(l.Ways), 1, 16))
		l.Protection = word(b, "protection", l.Protection, parseProtection)
		if _, err := mmu.NewCache(*c); err != nil {
			r.fail(inner.DefRange, err)
		}
	}
}

func parseProtection(s string) (mmu.Protection, error) {
	known := []mmu.Protection{mmu.Unprotected, mmu.Parity, mmu.SECDED}
	var all []string
	for _, p := range known {
		if p.String() == s {
			return p, nil
		}
		all = append(all, p.String())
	}
	return 0, nearest.Unknown("protection", s, all)
}

func (r *reader) hypervisor(top *block, folder string) Hypervisor {
	h := Hypervisor{Detectors: []inject.Detector{inject.Runtime, inject.Transition}, Policy: Continue}
	outer := top.only("hypervisor")
	if outer == nil {
		outer = &hcl.Block{Body: hcl.EmptyBody(), DefRange: top.where}
	}
	b := r.open(outer.Body, outer.DefRange, []string{"image", "detectors", "policy", "model", "quantum", "options"}, nil)
	h.Image = b.path("image", folder)
	if b.has("detectors") && !b.emptyList("detectors") {
		h.Detectors = words(b, "detectors", one(inject.ParseDetector))
		slices.Sort(h.Detectors) // their order means nothing
	} else if b.has("detectors") {
		h.Detectors = nil
	}
	h.Policy = word(b, "policy", h.Policy, choice("policy", Continue, Stop))
	h.Quantum = b.integer("quantum", 0, 1000, 1<<32-1)
	h.Options = b.commandLine("options")
	if h.Has(inject.Transition) || b.has("model") {
		h.Model = b.model(folder)
	}
	return h
}

// emptyList reports whether an attribute is written as [].
func (b *block) emptyList(name string) bool {
	elements, diags := hcl.ExprList(b.content.Attributes[name].Expr)
	return !diags.HasErrors() && len(elements) == 0
}

// commandLine reads words that go on a command line as they are.
func (b *block) commandLine(name string) string {
	s := b.text(name, "")
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) {
		b.mistake(b.rangeOf(name), "%s holds a character that cannot stand on a command line", name)
		return ""
	}
	return s
}

// path reads the name of a file that must exist. It is relative to the
// campaign's own folder.
func (b *block) path(name, folder string) string {
	p := b.text(name, "")
	if p == "" {
		return ""
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(folder, p)
	}
	if _, err := b.env.read(p); err != nil {
		b.fail(b.rangeOf(name), missing(err))
	}
	return p
}

// model reads the transition detector's decision tree: a file, or the one
// that comes with flipvisor.
func (b *block) model(folder string) *detect.Tree {
	var (
		text []byte
		err  error
	)
	if p := b.path("model", folder); p != "" {
		text, err = b.env.read(p)
		if err != nil {
			return nil // said by path
		}
	} else if text, err = models.ReadFile(defaultModel); errors.Is(err, fs.ErrNotExist) {
		b.mistake(b.rangeOf("detectors"), "the transition detector needs a model: none comes with this build; "+
			"train one with \"flipvisor train\" and name it with model = \"file.json\"")
		return nil
	}
	t, err := detect.ReadJSON(bytes.NewReader(text))
	if err != nil {
		b.fail(b.rangeOf("model"), err)
		return nil
	}
	return t
}

func (r *reader) vm(outer *hcl.Block, earlier []VM, folder string) VM {
	v := VM{Name: outer.Labels[0]}
	b := r.open(outer.Body, outer.DefRange, []string{
		"image", "workload", "scale", "seed", "repeat", "memory", "disk", "weight", "tick", "peer", "options",
	}, nil)
	if !plainName(v.Name) {
		r.mistake(outer.LabelRanges[0], "a VM's name is of letters, digits, - and _, not %q", v.Name)
	}
	for _, e := range earlier {
		if e.Name == v.Name {
			r.mistake(outer.LabelRanges[0], "there are two VMs called %q", v.Name)
		}
	}
	v.Image = b.path("image", folder)
	if v.Image == "" {
		b.require("workload", "one of "+strings.Join(r.env.Workloads, ", "))
		v.Workload = word(b, "workload", "", choice("workload", r.env.Workloads...))
	} else {
		b.exclude("workload", "the VM has an image of its own; tell it with options")
	}
	const most = 1 << 31
	v.Scale = b.integer("scale", 1, 1, most)
	v.Seed = b.integer("seed", 1, 0, most)
	v.Repeat = b.integer("repeat", 1, 1, most)
	v.Memory = b.bytes("memory", 0, 2*mib, gib)
	if v.Memory%(2*mib) != 0 {
		b.mistake(b.rangeOf("memory"), "memory is %s; it must be a multiple of 2MiB", formatSize(v.Memory))
	}
	v.Disk = b.bytes("disk", 0, kib, 64*mib)
	if v.Disk%kib != 0 {
		b.mistake(b.rangeOf("disk"), "disk is %s; it must be a multiple of 1KiB", formatSize(v.Disk))
	}
	v.Weight = b.integer("weight", 0, 1, 65535)
	v.Tick = b.integer("tick", 0, 1000, most)
	if b.has("peer") {
		n := b.integer("peer", 0, 0, 63)
		v.Peer = &n
	}
	v.Options = b.commandLine("options")
	return v
}

// peers checks what can only be checked when every VM is known.
func (r *reader) peers(top *block, vms []VM) {
	for i, b := range top.content.Blocks.OfType("vm") {
		if p := vms[i].Peer; p != nil && (*p >= int64(len(vms)) || *p == int64(i)) {
			r.mistake(b.DefRange, "peer is %d, which is not the number of another VM (there are %d, from 0)", *p, len(vms))
		}
	}
}

// vmNumber finds a VM by its name or its number.
func vmNumber(vms []VM) func(string) (int, error) {
	return func(s string) (int, error) {
		var all []string
		for i, v := range vms {
			if v.Name == s || fmt.Sprint(i) == s {
				return i, nil
			}
			all = append(all, v.Name)
		}
		return 0, nearest.Unknown("VM", s, all)
	}
}
