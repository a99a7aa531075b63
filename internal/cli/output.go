package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"aval/ledger"
)

// output collects what a person reads.
type output struct {
	b strings.Builder
}

// print writes v as JSON if asked, else what human writes.
func (s *session) print(v any, human func(o *output)) error {
	if s.json {
		b, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(s.sys.Stdout, string(b))
		return err
	}
	var o output
	human(&o)
	_, err := io.WriteString(s.sys.Stdout, o.b.String())
	return err
}

// line writes one line.
func (o *output) line(format string, args ...any) { fmt.Fprintf(&o.b, format+"\n", args...) }

// fields writes names and values in two columns; pairs alternate. Empty values are left out.
func (o *output) fields(pairs ...any) {
	width := 0
	for i := 0; i+1 < len(pairs); i += 2 {
		if fmt.Sprint(pairs[i+1]) != "" {
			width = max(width, len(fmt.Sprint(pairs[i])))
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if value := fmt.Sprint(pairs[i+1]); value != "" {
			o.line("%-*v  %s", width, pairs[i], value)
		}
	}
}

// table writes rows under headings. A heading that begins with ">" is aligned to the right.
func (o *output) table(headings []string, rows [][]string) {
	if len(rows) == 0 {
		o.line("(none)")
		return
	}
	width := make([]int, len(headings))
	right := make([]bool, len(headings))
	head := make([]string, len(headings))
	for i, h := range headings {
		head[i], right[i] = strings.CutPrefix(h, ">")
	}
	all := append([][]string{head}, rows...)
	for _, row := range all {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, row := range all {
		var sb strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-len([]rune(cell)))
			if right[i] {
				cell = pad + cell
			} else {
				cell += pad
			}
			if i > 0 {
				sb.WriteString("  ")
			}
			sb.WriteString(cell)
		}
		o.line("%s", strings.TrimRight(sb.String(), " "))
	}
}

// when prints a time to the second, and nothing for 0.
func when(t ledger.Time) string {
	if t == 0 {
		return ""
	}
	text := t.String()
	return strings.Replace(text[:19], "T", " ", 1)
}

// yes prints a truth in words.
func yes(v bool) string {
	if v {
		return "yes"
	}
	return "no"
}

// words joins what is true: pairs alternate between a bool and its word.
func words(pairs ...any) string {
	var out []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if on, ok := pairs[i].(bool); ok && on {
			out = append(out, fmt.Sprint(pairs[i+1]))
		}
	}
	return strings.Join(out, ", ")
}

// span prints a range in yuan.
func span(from, to ledger.Fen) string { return from.String() + " – " + to.String() }

// percent prints basis points.
func percent(bps uint32) string { return fmt.Sprintf("%d.%02d %%", bps/100, bps%100) }
