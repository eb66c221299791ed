package report

import (
	"github.com/flipvisor/flipvisor/campaigns"
	"github.com/flipvisor/flipvisor/inject"
)

// Clean is what there is to say about runs without a fault.
type Clean struct {
	Campaign   string             `json:"campaign"`
	Runs       int                `json:"runs"`
	Entries    uint64             `json:"entries"`
	Alarms     []inject.Detection `json:"alarms"`
	Rate       Estimate           `json:"alarms_per_entry"`
	Confidence float64            `json:"confidence"`
	Gate       GateResult         `json:"gate"`
}

// NewClean computes it. Of the campaign's gate, only what is about false
// positives counts.
func NewClean(c *campaigns.Campaign, runs *campaigns.Clean) *Clean {
	r := Report{Confidence: c.Gate.Confidence}
	r.falsePositives(&campaigns.GoldenSummary{Entries: runs.Entries, Alarms: runs.Alarms})
	gate := campaigns.Gate{Confidence: c.Gate.Confidence}
	for _, cond := range c.Gate.Conditions {
		if cond.Metric == campaigns.FalsePositives || cond.Metric == campaigns.FalsePositiveRate {
			gate.Conditions = append(gate.Conditions, cond)
		}
	}
	r.judge(gate)
	return &Clean{
		Campaign: c.Name, Runs: runs.Runs, Entries: runs.Entries, Alarms: runs.Alarms,
		Rate: scaled(r.falsePositiveRate(r.FalsePositives), 1), Confidence: c.Gate.Confidence, Gate: r.Gate,
	}
}
