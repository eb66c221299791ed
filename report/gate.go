package report

import (
	"math"

	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/internal/stats"
)

// judge holds the results against the campaign's bar.
func (r *Report) judge(g campaigns.Gate) {
	for _, c := range g.Conditions {
		i := r.metric(c.Metric)
		res := ConditionResult{Condition: c, Low: i.Low, High: i.High}
		if !math.IsNaN(i.Value) {
			res.Value = &i.Value
		}
		if c.AtLeast {
			res.Verdict = stats.AtLeast(i, c.Bar)
		} else {
			res.Verdict = stats.AtMost(i, c.Bar)
		}
		r.Gate.Conditions = append(r.Gate.Conditions, res)
		r.Gate.Verdict = max(r.Gate.Verdict, res.Verdict)
	}
	if r.Samples < r.Planned && r.Gate.Verdict == stats.Pass {
		r.Gate.Verdict = stats.Inconclusive
		r.Gate.Note = "the campaign is not complete"
	}
}

// metric gives what a condition bounds. A number that is known exactly is
// an interval without width.
func (r *Report) metric(name string) stats.Interval {
	exactly := func(v float64) stats.Interval { return stats.Interval{Value: v, Low: v, High: v} }
	switch name {
	case campaigns.CoverageInjected:
		return r.Coverage.Injected.interval()
	case campaigns.CoverageActivated:
		return r.Coverage.Activated.interval()
	case campaigns.CoverageManifested:
		return r.Coverage.Manifested.interval()
	case campaigns.FalsePositives:
		return exactly(float64(r.FalsePositives.Alarms))
	case campaigns.FalsePositiveRate:
		return r.falsePositiveRate(r.FalsePositives)
	case campaigns.ToolErrors:
		return exactly(float64(r.ToolErrors))
	case campaigns.InvalidFaults:
		return exactly(float64(r.Invalid))
	case campaigns.OverheadShare:
		highest := stats.Interval{Value: math.NaN(), High: math.MaxFloat64}
		for _, o := range r.Overhead {
			if math.IsNaN(highest.Value) || o.Share > highest.Value {
				highest = exactly(o.Share)
			}
		}
		return highest
	}
	o, ok := campaigns.MetricOutcome(name)
	if !ok {
		return stats.Interval{Value: math.NaN(), Low: 0, High: 1}
	}
	total := 0
	for _, n := range r.Outcomes {
		total += n
	}
	return stats.Wilson(r.Outcomes[o.String()], total, r.Confidence)
}
