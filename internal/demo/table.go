package demo

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table prints rows in aligned columns. A heading that begins with '>' makes its column flush right.
type table struct {
	headings []string
	rows     [][]string
	// total is a last row under a rule; nil for none.
	total []string
}

func newTable(headings ...string) *table { return &table{headings: headings} }

func (t *table) row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.rows = append(t.rows, row)
}

// write prints the table, indented by two spaces.
func (t *table) write(w io.Writer) error {
	heads := make([]string, len(t.headings))
	right := make([]bool, len(t.headings))
	for i, h := range t.headings {
		heads[i], right[i] = strings.TrimPrefix(h, ">"), strings.HasPrefix(h, ">")
	}
	all := append([][]string{heads}, t.rows...)
	if t.total != nil {
		all = append(all, t.total)
	}
	widths := make([]int, len(heads))
	for _, row := range all {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var sb strings.Builder
	rule := func() {
		for i, w := range widths {
			sb.WriteString("  " + strings.Repeat("-", w))
			if i == len(widths)-1 {
				sb.WriteByte('\n')
			}
		}
	}
	for i, row := range all {
		if t.total != nil && i == len(all)-1 {
			rule()
		}
		sb.WriteString(strings.TrimRight(line(row, widths, right), " ") + "\n")
		if i == 0 {
			rule()
		}
	}
	_, err := io.WriteString(w, sb.String())
	return err
}

func line(row []string, widths []int, right []bool) string {
	var sb strings.Builder
	for i, cell := range row {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		sb.WriteString("  ")
		if right[i] {
			sb.WriteString(pad + cell)
		} else {
			sb.WriteString(cell + pad)
		}
	}
	return sb.String()
}
