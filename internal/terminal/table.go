package terminal

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// tableSample is how many rows are looked at before the widths of a table's
// columns are fixed; later rows are written as they come.
const tableSample = 256

// gap stands between two columns.
const gap = "  "

// A Column is one column of a table.
type Column struct {
	Title string
	Right bool // numbers stand to the right
	Trim  Trim // where to cut what does not fit
}

// A Cell is one field of a table.
type Cell struct {
	Text  string // untrusted: it is cleaned
	Style Style
}

// Row makes a row of cells: a Cell stays as it is, a string is plain text,
// and anything else is written as fmt.Sprint does.
func Row(values ...any) []Cell {
	row := make([]Cell, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case Cell:
			row[i] = v
		case string:
			row[i] = Cell{Text: v}
		default:
			row[i] = Cell{Text: fmt.Sprint(v)}
		}
	}
	return row
}

// Table writes a table to standard output. On a terminal it is fitted to the
// width, the widest columns that may be cut first.
func (t *Terminal) Table(columns []Column, rows [][]Cell) {
	t.TableSeq(columns, slices.Values(rows))
}

// TableSeq is Table for rows that are too many to hold: the widths follow
// from the first 256, and the rest is written as it comes.
func (t *Terminal) TableSeq(columns []Column, rows iter.Seq[[]Cell]) {
	var sample [][]Cell
	var widths []int
	var b strings.Builder
	width := t.Width()
	begin := func() {
		widths = t.columnWidths(columns, sample, width)
		t.tableHeader(&b, columns, widths)
		for _, r := range sample {
			t.tableRow(&b, columns, widths, width, r)
		}
	}
	for row := range rows {
		row = cleanRow(row, len(columns))
		if widths == nil {
			if sample = append(sample, row); len(sample) == tableSample {
				begin()
			}
			continue
		}
		t.tableRow(&b, columns, widths, width, row)
		if b.Len() > 32<<10 {
			t.print(b.String())
			b.Reset()
			if t.WriteErr() != nil {
				return
			}
		}
	}
	if widths == nil {
		begin()
	}
	t.print(b.String())
}

func cleanRow(row []Cell, n int) []Cell {
	clean := make([]Cell, n)
	for i := range min(n, len(row)) {
		clean[i] = Cell{Text: Clean(row[i].Text), Style: row[i].Style}
	}
	return clean
}

// columnWidths gives each column what its widest cell needs. If that is more
// than the terminal has, digests and names give way first, whose two ends tell
// them apart; then whichever column is widest, times last, until all fits or
// nothing more can be taken.
func (t *Terminal) columnWidths(columns []Column, rows [][]Cell, width int) []int {
	widths := make([]int, len(columns))
	total := 0
	for i, c := range columns {
		widths[i] = Columns(Clean(c.Title))
		for _, r := range rows {
			widths[i] = max(widths[i], Columns(r[i].Text))
		}
		total += widths[i]
		if i > 0 {
			total += len(gap)
		}
	}
	take := func(least int, from func(Column) bool) {
		for width > 0 && total > width {
			widest := -1
			for i, c := range columns {
				if from(c) && widths[i] > least && (widest < 0 || widths[i] > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				return
			}
			widths[widest]--
			total--
		}
	}
	take(24, func(c Column) bool { return c.Trim == TrimMiddle })
	take(16, func(c Column) bool { return c.Trim != TrimLate })
	take(8, func(Column) bool { return true }) // less than 8 columns says nothing
	return widths
}

func (t *Terminal) tableHeader(b *strings.Builder, columns []Column, widths []int) {
	titled := false
	var line strings.Builder
	for i, c := range columns {
		title := Clean(c.Title)
		titled = titled || title != ""
		if i > 0 {
			line.WriteString(gap)
		}
		line.WriteString(pad(fit(title, widths[i], TrimEnd, t.ellipsis()), widths[i], c.Right))
	}
	if titled {
		b.WriteString(t.out.paint(Dim, strings.TrimRight(line.String(), " ")))
		b.WriteByte('\n')
	}
}

func (t *Terminal) tableRow(b *strings.Builder, columns []Column, widths []int, width int, row []Cell) {
	spaces := 0 // owed before the next text, so that no line ends in spaces
	for i, c := range columns {
		if i > 0 {
			spaces += len(gap)
		}
		text := row[i].Text
		if width > 0 { // a terminal: nothing may break the layout
			text = fit(text, widths[i], c.Trim, t.ellipsis())
		}
		free := max(widths[i]-Columns(text), 0)
		if c.Right {
			spaces, free = spaces+free, 0
		}
		if text != "" {
			b.WriteString(strings.Repeat(" ", spaces))
			b.WriteString(t.out.paint(row[i].Style, text))
			spaces = 0
		}
		spaces += free
	}
	b.WriteByte('\n')
}
