package campaigns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flipvisor/flipvisor/inject"
)

// Replayed is an experiment that was run once more.
type Replayed struct {
	Recorded Record
	Again    inject.Result
	// Differences are the recorded fields that came out otherwise. There
	// are none, unless something is wrong with flipvisor.
	Differences []Difference
	// Trace is there if the lab can make one.
	Trace *Trace
}

// Difference is a field of a result with two values.
type Difference struct {
	Field           string
	Recorded, Again string
}

// Replay runs an experiment of a results folder again and compares.
func Replay(ctx context.Context, env Env, build Builder, dir string, index, around int) (*Replayed, error) {
	stored, err := ReadStore(dir)
	if err != nil {
		return nil, err
	}
	record, ok := stored.Find(index)
	if !ok {
		return nil, fmt.Errorf("results folder %s has no experiment %d (there are %d of %d)",
			dir, index, len(stored.Records), stored.Manifest.Samples)
	}
	c, err := stored.Campaign(env)
	if err != nil {
		return nil, err
	}
	p, err := Prepare(ctx, c, build)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if p.Golden.Digest != stored.Manifest.Golden {
		now := stored.Manifest
		now.Golden = p.Golden.Digest
		return nil, fmt.Errorf("results folder %s: %w", dir, now.differs(&stored.Manifest))
	}
	e := p.Experiment(index)
	r := &Replayed{Recorded: *record}
	if tracer, ok := p.Lab.(Tracer); ok {
		r.Trace, err = tracer.Trace(ctx, e, around)
		if err == nil {
			r.Again = r.Trace.Result
		}
	} else {
		r.Again, err = p.Lab.Run(ctx, e)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		return nil, fmt.Errorf("experiment %d: %w", index, err)
	}
	r.Again.Index, r.Again.Group, r.Again.Fault = e.Index, e.Group, e.Fault
	r.Differences, err = Differences(&record.Result, &r.Again)
	return r, err
}

// Differences compares two results field by field.
func Differences(recorded, again *inject.Result) ([]Difference, error) {
	a, err1 := fields(recorded)
	b, err2 := fields(again)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	all := maps.Clone(a)
	maps.Copy(all, b)
	var d []Difference
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if a[name] != b[name] {
			d = append(d, Difference{name, a[name], b[name]})
		}
	}
	return d, nil
}

// fields lists a result's stored fields with their dotted names.
func fields(r *inject.Result) (map[string]string, error) {
	text, err := r.Canonical()
	if err != nil {
		return nil, err
	}
	var tree map[string]json.RawMessage
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	flat := make(map[string]string)
	var walk func(prefix string, tree map[string]json.RawMessage)
	walk = func(prefix string, tree map[string]json.RawMessage) {
		for name, v := range tree {
			var inner map[string]json.RawMessage
			if v[0] == '{' && json.Unmarshal(v, &inner) == nil {
				walk(prefix+name+".", inner)
				continue
			}
			flat[prefix+name] = string(v)
		}
	}
	walk("", tree)
	return flat, nil
}
