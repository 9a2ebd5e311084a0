package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

const columnsFlag = "columns"

// columns is a table of text under a heading; nothing of it can steer a terminal. On a terminal its rows are cut to one line
// each: one that is wrapped is two lines that nobody can read. A pipe gets everything.
type columns struct {
	w    io.Writer
	rows [][]string // the first is the heading
}

func newColumns(w io.Writer, heading ...string) *columns {
	return &columns{w: w, rows: [][]string{heading}}
}

func (c *columns) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = orDash(visible(cell))
	}
	c.rows = append(c.rows, cells)
}

// flush writes the table.
func (c *columns) flush() {
	width := 0
	if p, ok := c.w.(*paper); ok {
		width = p.width
		if len(p.only) > 0 {
			p.wrong = c.pick(p.only)
		}
	}
	widths := c.widths()
	if width > 0 {
		narrow(widths, width)
	}
	for _, row := range c.rows {
		var line strings.Builder
		for i, cell := range row {
			cell = cutTo(cell, widths[i])
			line.WriteString(cell)
			if i < len(row)-1 { // a row ends with its last cell: blanks after it would only wrap on narrow terminals
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+len(between)))
			}
		}
		text := line.String()
		if width > 0 {
			text = cutTo(text, width)
		}
		fmt.Fprintln(c.w, text)
	}
}

// pick keeps the columns that are named, in that order.
func (c *columns) pick(named []string) error {
	heading := c.rows[0]
	var kept []int
	for _, name := range named {
		i := slices.IndexFunc(heading, func(h string) bool { return columnName(h) == columnName(name) })
		if i < 0 {
			names := make([]string, len(heading))
			for i, h := range heading {
				names[i] = columnName(h)
			}
			return usagef("there is no column %q: want %s", name, orList(names))
		}
		kept = append(kept, i)
	}
	for n, row := range c.rows {
		picked := make([]string, len(kept))
		for i, column := range kept {
			if column < len(row) {
				picked[i] = row[column]
			}
		}
		c.rows[n] = picked
	}
	return nil
}

// columnName is a heading as it is typed.
func columnName(heading string) string {
	return strings.NewReplacer(" ", "_", "-", "_", ",", "").Replace(strings.ToLower(strings.TrimSpace(heading)))
}

const between = "  " // columns

func (c *columns) widths() []int {
	var widths []int
	for _, row := range c.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// leastColumn is the width that a column keeps, in characters: enough to know what it is about.
const leastColumn = 6

// narrow takes from the widest columns until a row fits. The first, which names the row, is left whole: it is what other commands
// are given.
func narrow(widths []int, width int) {
	total := len(between) * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for total > width && len(widths) > 1 {
		widest := 1
		for i := 2; i < len(widths); i++ {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= leastColumn {
			return
		}
		widths[widest]--
		total--
	}
}

// cutTo ends what is longer than so many characters with an ellipsis.
func cutTo(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	if most < 1 {
		return ""
	}
	return strings.TrimRight(string([]rune(s)[:most-1]), " ") + "…"
}
