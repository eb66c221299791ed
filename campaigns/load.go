package campaigns

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/flipvisor/flipvisor/hv"
	"github.com/flipvisor/flipvisor/internal/nearest"
)

// Env is what a campaign file may refer to but does not contain.
type Env struct {
	// Workloads are the names that flipvisor's own guest knows; nil are
	// those of hv.Workloads.
	Workloads []string
	// ReadFile reads what the file names; nil is os.ReadFile.
	ReadFile func(path string) ([]byte, error)
}

// Load reads a campaign file: HCL, or HCL's JSON syntax if its name ends in
// .json. Mistakes in it are an *InputError.
func Load(path string) (*Campaign, error) {
	return Env{}.Load(path)
}

// Load is like the function of that name.
func (env Env) Load(path string) (*Campaign, error) {
	source, err := env.read(path)
	if err != nil {
		return nil, fmt.Errorf("campaign file: %w", err)
	}
	return env.Parse(path, source)
}

func (env Env) read(path string) ([]byte, error) {
	if env.ReadFile != nil {
		return env.ReadFile(path)
	}
	return os.ReadFile(path)
}

// Parse reads a campaign from the contents of a file. Path names it in
// messages and is where relative paths in it start from.
func (env Env) Parse(path string, source []byte) (*Campaign, error) {
	if env.Workloads == nil {
		env.Workloads = hv.Workloads
	}
	parser := hclparse.NewParser()
	parse := parser.ParseHCL
	if strings.HasSuffix(path, ".json") {
		parse = parser.ParseJSON
	}
	file, diags := parse(source, path)
	files := parser.Files()
	if diags.HasErrors() {
		explainHex(diags, source)
		return nil, &InputError{diags, files}
	}
	r := newReader(env)
	c := r.campaign(file.Body, path)
	c.files = files
	if r.diags.HasErrors() {
		return nil, &InputError{r.diags, files}
	}
	return c, nil
}

// hexLiteral matches what a C programmer writes where HCL wants a number.
var hexLiteral = regexp.MustCompile(`\b0[xX]([0-9a-fA-F]+)`)

// explainHex adds what to write instead to errors on lines with 0x….
func explainHex(diags hcl.Diagnostics, source []byte) {
	lines := bytes.Split(source, []byte("\n"))
	for _, d := range diags {
		if d.Subject == nil || d.Subject.Start.Line > len(lines) {
			continue
		}
		if m := hexLiteral.FindSubmatch(lines[d.Subject.Start.Line-1]); m != nil {
			d.Summary = "HCL has no hexadecimal numbers"
			d.Detail = fmt.Sprintf("write hex(%q)", m[1])
		}
	}
}

func (r *reader) campaign(body hcl.Body, path string) *Campaign {
	c := &Campaign{Path: path}
	start := hcl.Range{Filename: path, Start: hcl.InitialPos, End: hcl.InitialPos}
	top := r.open(body, start, nil, []string{
		"campaign name", "machine", "hypervisor", "vm name", "fault name", "sample", "gate", "train",
	})
	if b := top.only("campaign"); b != nil {
		head := r.open(b.Body, b.DefRange, []string{"description", "overhead"}, nil)
		c.Name = b.Labels[0]
		c.Description = head.text("description", "")
		c.Overhead = head.flag("overhead", true)
		if !plainName(c.Name) {
			r.mistake(b.LabelRanges[0], "a campaign's name is of letters, digits, - and _, not %q", c.Name)
		}
	} else {
		r.mistake(start, "there is no campaign block: campaign \"name\" {}")
	}
	c.Setup.Machine = r.machine(top)
	for _, b := range top.content.Blocks.OfType("vm") {
		c.Setup.VMs = append(c.Setup.VMs, r.vm(b, c.Setup.VMs, filepath.Dir(path)))
	}
	r.peers(top, c.Setup.VMs)
	if len(c.Setup.VMs) == 0 {
		r.mistake(start, "there is no vm block: a hypervisor without VMs has nothing to do")
	}
	c.Setup.Hypervisor = r.hypervisor(top, filepath.Dir(path))
	for _, b := range top.content.Blocks.OfType("fault") {
		c.Faults = append(c.Faults, r.fault(b, c.Setup.VMs, c.Faults))
	}
	if len(c.Faults) == 0 {
		r.mistake(start, "there is no fault block: nothing would be injected")
	}
	c.Sample = r.sample(top)
	c.Gate = r.gate(top)
	if b := top.only("train"); b != nil {
		c.Train = r.train(b, c.Setup.VMs, filepath.Dir(path))
		c.Setup.Profile = true
	}
	return c
}

// plainName reports whether a name can be part of a file's.
func plainName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}) < 0
}

// inputError makes an error that quotes the campaign's file.
func (c *Campaign) inputError(diags hcl.Diagnostics) error {
	return &InputError{diags, c.files}
}

// choice makes a parser of a fixed set of words.
func choice[T ~string](kind string, known ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		var all []string
		for _, k := range known {
			if string(k) == s {
				return k, nil
			}
			all = append(all, string(k))
		}
		return "", nearest.Unknown(kind, s, all)
	}
}

// missing says in fewer words that a file is not there.
func missing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		var p *os.PathError
		if errors.As(err, &p) {
			return fmt.Errorf("there is no file %s", p.Path)
		}
	}
	return err
}
