package campaigns

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/flipvisor/flipvisor/inject"
)

// reader collects mistakes while a file is read. After one it goes on with
// a default, so that a user sees all of them at once.
type reader struct {
	env   Env
	diags hcl.Diagnostics
	ctx   *hcl.EvalContext
}

// stringType is what numbers, too, can be read as.
var stringType = cty.String

func newReader(env Env) *reader {
	return &reader{env: env, ctx: &hcl.EvalContext{
		Functions: map[string]function.Function{"hex": hexFunction},
	}}
}

// hexFunction stands in for hexadecimal literals, which HCL does not have.
var hexFunction = function.New(&function.Spec{
	Description: "the number that a string of hexadecimal digits is",
	Params:      []function.Parameter{{Name: "digits", Type: cty.String}},
	Type:        function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		digits := strings.TrimPrefix(args[0].AsString(), "0x")
		n, err := strconv.ParseUint(digits, 16, 64)
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(0, "%q is not a hexadecimal number of at most 64 bits", args[0].AsString())
		}
		return cty.NumberUIntVal(n), nil
	},
})

func (r *reader) mistake(where hcl.Range, format string, args ...any) {
	r.diags = append(r.diags, mistake(where, fmt.Errorf(format, args...)))
}

func (r *reader) fail(where hcl.Range, err error) {
	r.diags = append(r.diags, mistake(where, err))
}

// block is the content of one block of the file.
type block struct {
	*reader
	content *hcl.BodyContent
	where   hcl.Range // its header
}

// open reads a body that may have the given attributes and blocks. Of a
// block, the words after its type name its labels.
func (r *reader) open(body hcl.Body, where hcl.Range, attributes, blocks []string) *block {
	schema := &hcl.BodySchema{}
	for _, a := range attributes {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: a})
	}
	for _, b := range blocks {
		words := strings.Fields(b)
		schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: words[0], LabelNames: words[1:]})
	}
	content, diags := body.Content(schema)
	r.diags = append(r.diags, diags...)
	return &block{r, content, where}
}

// only gives the block of a type of which there is at most one.
func (b *block) only(kind string) *hcl.Block {
	var first *hcl.Block
	for _, inner := range b.content.Blocks {
		if inner.Type != kind {
			continue
		}
		if first != nil {
			b.mistake(inner.DefRange, "there is a second %s block; the first is on line %d", kind, first.DefRange.Start.Line)
			continue
		}
		first = inner
	}
	return first
}

// has reports whether an attribute is written.
func (b *block) has(name string) bool { return b.content.Attributes[name] != nil }

// rangeOf is the place of an attribute's value, or of the block without it.
func (b *block) rangeOf(name string) hcl.Range {
	if a := b.content.Attributes[name]; a != nil {
		return a.Expr.Range()
	}
	return b.where
}

// require says so if an attribute is missing.
func (b *block) require(name, why string) {
	if !b.has(name) {
		b.mistake(b.where, "%s is missing: %s", name, why)
	}
}

// exclude says so if an attribute is there that makes no sense.
func (b *block) exclude(name, why string) {
	if a := b.content.Attributes[name]; a != nil {
		b.mistake(a.NameRange, "%s does not belong here: %s", name, why)
	}
}

// value evaluates an attribute to a type, nil if there is none or it fails.
func (b *block) value(name string, want cty.Type) *cty.Value {
	a := b.content.Attributes[name]
	if a == nil {
		return nil
	}
	return b.evaluate(a.Expr, want, name)
}

func (r *reader) evaluate(e hcl.Expression, want cty.Type, name string) *cty.Value {
	v, diags := e.Value(r.ctx)
	r.diags = append(r.diags, diags...)
	if diags.HasErrors() {
		return nil
	}
	v, err := convert.Convert(v, want)
	switch {
	case err != nil:
		r.mistake(e.Range(), "%s: %w", name, err)
		return nil
	case v.IsNull() || !v.IsKnown():
		r.mistake(e.Range(), "%s has no value", name)
		return nil
	}
	return &v
}

// text reads a string.
func (b *block) text(name, otherwise string) string {
	if v := b.value(name, cty.String); v != nil {
		return v.AsString()
	}
	return otherwise
}

// flag reads a boolean.
func (b *block) flag(name string, otherwise bool) bool {
	if v := b.value(name, cty.Bool); v != nil {
		return v.True()
	}
	return otherwise
}

// integer reads a whole number between two bounds. The bounds keep every
// number inside int64, where nothing can be cut off silently.
func (b *block) integer(name string, otherwise, least, most int64) int64 {
	v := b.value(name, cty.Number)
	if v == nil {
		return otherwise
	}
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != big.Exact || n < least || n > most {
		b.mistake(b.rangeOf(name), "%s is %s; it must be a whole number from %d to %d", name, number(*v), least, most)
		return otherwise
	}
	return n
}

// real reads a number between two bounds.
func (b *block) real(name string, otherwise, least, most float64) float64 {
	v := b.value(name, cty.Number)
	if v == nil {
		return otherwise
	}
	f, _ := v.AsBigFloat().Float64()
	if f < least || f > most || math.IsNaN(f) {
		b.mistake(b.rangeOf(name), "%s is %s; it must be from %v to %v", name, number(*v), least, most)
		return otherwise
	}
	return f
}

// integers reads a list of whole numbers that are not negative.
func (b *block) integers(name string) []int64 {
	v := b.value(name, cty.List(cty.Number))
	if v == nil {
		return nil
	}
	var all []int64
	for _, e := range v.AsValueSlice() {
		if e.IsNull() {
			b.mistake(b.rangeOf(name), "%s: one of them has no value", name)
			return nil
		}
		n, accuracy := e.AsBigFloat().Int64()
		if accuracy != big.Exact || n < 0 || n > 1<<31 {
			b.mistake(b.rangeOf(name), "%s: %s is not a whole number from 0 to %d", name, number(e), 1<<31)
			return nil
		}
		all = append(all, n)
	}
	return all
}

func number(v cty.Value) string { return v.AsBigFloat().Text('g', 12) }

// bytes reads a size: a number of bytes, or a string such as "64MiB".
func (b *block) bytes(name string, otherwise, least, most int64) int64 {
	v := b.value(name, cty.String)
	if v == nil {
		return otherwise
	}
	n, err := parseSize(v.AsString())
	switch {
	case err != nil:
		b.fail(b.rangeOf(name), err)
	case n < least || n > most:
		b.mistake(b.rangeOf(name), "%s is %s; it must be from %s to %s", name, formatSize(n), formatSize(least), formatSize(most))
	default:
		return n
	}
	return otherwise
}

var units = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func parseSize(s string) (int64, error) {
	digits, unit := s, int64(1)
	for _, u := range units {
		if d, ok := strings.CutSuffix(s, u.name); ok {
			digits, unit = strings.TrimSpace(d), u.size
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a size such as 4096, \"512KiB\", \"64MiB\" or \"1GiB\"", s)
	}
	return n * unit, nil
}

func formatSize(n int64) string {
	for _, u := range units {
		if n >= u.size && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return fmt.Sprint(n)
}

// names reads a string or a list of strings, each with its place.
func (b *block) names(name string) []Name {
	a := b.content.Attributes[name]
	if a == nil {
		return nil
	}
	var all []Name
	elements, diags := hcl.ExprList(a.Expr)
	if diags.HasErrors() { // not a list as written: one string
		elements = []hcl.Expression{a.Expr}
	}
	for _, e := range elements {
		if v := b.evaluate(e, cty.String, name); v != nil {
			all = append(all, Name{v.AsString(), e.Range()})
		}
	}
	if len(elements) == 0 {
		b.mistake(a.Expr.Range(), "%s is an empty list", name)
	}
	return all
}

// word reads a word of an enumeration.
func word[T any](b *block, name string, otherwise T, parse func(string) (T, error)) T {
	if !b.has(name) {
		return otherwise
	}
	text := b.value(name, cty.String)
	if text == nil {
		return otherwise
	}
	v, err := parse(text.AsString())
	if err != nil {
		b.fail(b.rangeOf(name), err)
		return otherwise
	}
	return v
}

// words reads one word of an enumeration or a list of them, each once.
func words[T comparable](b *block, name string, parse func(string) ([]T, error)) []T {
	var all []T
	for _, n := range b.names(name) {
		some, err := parse(n.Text)
		if err != nil {
			b.fail(n.where, err)
			continue
		}
		for _, v := range some {
			if slices.Contains(all, v) {
				b.mistake(n.where, "%s: %v is already there", n.Text, v)
				break
			}
			all = append(all, v)
		}
	}
	return all
}

// one makes a parser of words into one of lists of one.
func one[T any](parse func(string) (T, error)) func(string) ([]T, error) {
	return func(s string) ([]T, error) {
		v, err := parse(s)
		return []T{v}, err
	}
}

// span reads a number, or a string with a number or a range of them: "0-63".
func (b *block) span(name string, least, most uint64) *inject.Range {
	v := b.value(name, cty.String)
	if v == nil {
		return nil
	}
	r, err := parseRange(v.AsString())
	if err == nil && (r.From < least || r.To > most) {
		err = fmt.Errorf("%s is outside %d-%d", v.AsString(), least, most)
	}
	if err != nil {
		b.fail(b.rangeOf(name), err)
		return nil
	}
	return &r
}

func parseRange(s string) (inject.Range, error) {
	from, to, ranged := strings.Cut(s, "-")
	if !ranged {
		to = from
	}
	lo, err1 := strconv.ParseUint(strings.TrimSpace(from), 0, 64)
	hi, err2 := strconv.ParseUint(strings.TrimSpace(to), 0, 64)
	if err := errors.Join(err1, err2); err != nil {
		return inject.Range{}, fmt.Errorf("%q is not a number or a range such as \"0-63\"", s)
	}
	if hi < lo {
		return inject.Range{}, fmt.Errorf("the range %s runs backwards", s)
	}
	return inject.Range{From: lo, To: hi}, nil
}
