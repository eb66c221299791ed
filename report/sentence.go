package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flipvisor/flipvisor/campaigns"
)

// sentence writes a condition as it would be said: coverage manifested at
// least 99.0 %.
func (c *ConditionResult) sentence() string {
	relation := "at most"
	if c.AtLeast {
		relation = "at least"
	}
	return fmt.Sprintf("%s %s %s", strings.ReplaceAll(c.Metric, "_", " "), relation, c.number(c.Bar))
}

func (c *ConditionResult) measured() string {
	if c.Value == nil {
		return "-"
	}
	return c.number(*c.Value)
}

func (c *ConditionResult) bounds() string {
	if c.Value == nil || c.Low == c.High {
		return ""
	}
	return between(c.number(c.Low), c.number(c.High))
}

// number writes a value in the metric's unit.
func (c *ConditionResult) number(v float64) string {
	switch {
	case c.Counts():
		return large(v)
	case c.Metric == campaigns.FalsePositiveRate:
		return fmt.Sprintf("%.2g", v)
	}
	return percent(v)
}

// confidence writes that of the intervals: 95 %.
func (r *Report) confidence() string { return fmt.Sprintf("%.4g %%", 100*r.Confidence) }

// detectorSets are the sets whose overhead is known, single detectors first.
func (r *Report) detectorSets() []string {
	return slices.SortedFunc(maps.Keys(r.Overhead), func(a, b string) int {
		return cmp.Or(strings.Count(a, "+")-strings.Count(b, "+"), cmp.Compare(a, b))
	})
}
