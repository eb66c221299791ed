package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Numbers as people write them. Every format but JSON uses these.

// count writes a whole number with its thousands apart: 9,604.
func count[T int | int64 | uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// large writes a number that may be very large: 12,345 or 57.1 G.
func large(v float64) string {
	if math.Abs(v) < 1e6 {
		return count(int64(math.Round(v)))
	}
	const prefixes = "MGTPE"
	scale, prefix := 1e6, 0
	for math.Abs(v)/scale >= 999.5 && prefix+1 < len(prefixes) {
		scale *= 1000
		prefix++
	}
	return fmt.Sprintf("%s %c", strconv.FormatFloat(v/scale, 'g', 3, 64), prefixes[prefix])
}

// plural writes a number of things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// percent writes a share, with as many digits as tell it from 0 and 100 %.
func percent(v float64) string {
	s := fmt.Sprintf("%.1f %%", 100*v)
	if v > 0 && v < 0.0005 || v < 1 && v > 0.9995 {
		s = fmt.Sprintf("%.3f %%", 100*v)
	}
	return s
}

// share writes a proportion's value, or a dash where there is none.
func (p Proportion) share() string {
	if p.Value == nil {
		return "-"
	}
	return percent(*p.Value)
}

// bounds writes a proportion's interval.
func (p Proportion) bounds() string {
	if p.Value == nil {
		return "-"
	}
	return between(percent(p.Low), percent(p.High))
}

func (e Estimate) bounds() string { return between(large(e.Low), large(e.High)) }

func between(low, high string) string {
	low = strings.TrimSuffix(low, " %")
	return low + " to " + high
}

// align says on which side of its column a cell stands.
type align bool

const (
	left  align = false
	right align = true
)

// table lays out cells in columns, each as wide as its widest cell.
type table struct {
	columns []align
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// lines gives the rows, each behind an indentation, no longer than width:
// what does not fit is cut off the last column.
func (t *table) lines(indent string, width int) []string {
	widths := make([]int, len(t.columns))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var all []string
	for _, row := range t.rows {
		var b strings.Builder
		b.WriteString(indent)
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				b.WriteString("  ")
			}
			if t.columns[i] == right {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
		}
		all = append(all, cut(strings.TrimRight(b.String(), " "), width))
	}
	return all
}

// cut shortens a line to a width, and shows that it did.
func cut(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// wrap breaks a text into lines at spaces.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// bar draws a share as a bar of at most n cells, to an eighth of a cell.
func bar(share float64, n int) string {
	eighths := int(math.Round(share * float64(8*n)))
	if eighths == 0 && share > 0 {
		eighths = 1
	}
	s := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return s
}
