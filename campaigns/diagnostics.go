package campaigns

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// InputError is what is wrong with a campaign file. Its text names the
// place of each mistake and shows the line:
//
//	xentry.hcl:14,22-27: unknown register "rbq"; did you mean "rbp"?
//	   14 |     names = ["rax", "rbq"]
//	      |                     ^^^^^
type InputError struct {
	Diagnostics hcl.Diagnostics
	files       map[string]*hcl.File
}

func (e *InputError) Error() string {
	var b strings.Builder
	for i, d := range e.Diagnostics {
		if i > 0 {
			b.WriteByte('\n')
		}
		text := d.Summary
		if d.Detail != "" {
			text += "; " + d.Detail
		}
		if d.Subject == nil {
			b.WriteString(text)
			continue
		}
		fmt.Fprintf(&b, "%s: %s%s", d.Subject, text, e.snippet(*d.Subject))
	}
	return b.String()
}

// snippet shows the line a range begins on, with the range underlined.
func (e *InputError) snippet(r hcl.Range) string {
	f := e.files[r.Filename]
	if f == nil || r.Start.Line < 1 {
		return ""
	}
	lines := bytes.Split(f.Bytes, []byte("\n"))
	if r.Start.Line > len(lines) {
		return ""
	}
	line := strings.TrimRight(string(lines[r.Start.Line-1]), "\r")
	from := min(max(r.Start.Column-1, 0), len(line))
	width := len(line) - from
	if r.End.Line == r.Start.Line {
		width = r.End.Column - r.Start.Column
	}
	// Tabs stay tabs, so that the mark stands below what it marks.
	pad := strings.Map(func(c rune) rune {
		if c == '\t' {
			return c
		}
		return ' '
	}, line[:from])
	return fmt.Sprintf("\n%5d | %s\n      | %s%s", r.Start.Line, line, pad, strings.Repeat("^", max(1, width)))
}

// mistake makes a diagnostic.
func mistake(where hcl.Range, err error) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: err.Error(), Subject: &where}
}
