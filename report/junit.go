package report

import (
	"encoding/xml"
	"fmt"
	"io"

	"github.com/flipvisor/flipvisor/internal/stats"
)

// JUnit writes the gate as test cases: a condition that failed is a failure,
// one of which the sample is too small to tell is an error.
func (r *Report) JUnit(w io.Writer) error {
	suite := junitSuite{Name: "flipvisor " + r.Campaign}
	add := func(c junitCase, v stats.Verdict, message string) {
		c.Class = suite.Name
		switch v {
		case stats.Fail:
			c.Failure = &junitProblem{Message: message}
			suite.Failures++
		case stats.Inconclusive:
			c.Error = &junitProblem{Message: "inconclusive: " + message}
			suite.Errors++
		}
		suite.Tests++
		suite.Cases = append(suite.Cases, c)
	}
	for i := range r.Gate.Conditions {
		c := &r.Gate.Conditions[i]
		message := c.measured()
		if b := c.bounds(); b != "" {
			message += fmt.Sprintf(" (%s)", b)
		}
		add(junitCase{Name: c.sentence()}, c.Verdict, message)
	}
	complete := stats.Pass
	if r.Samples < r.Planned {
		complete = stats.Inconclusive
	}
	add(junitCase{Name: "every experiment was run"}, complete, fmt.Sprintf("%d of %d", r.Samples, r.Planned))

	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
}
