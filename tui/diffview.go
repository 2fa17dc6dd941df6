package tui

// Rows of a difference as lines of a screen:
//
//	sideBySide    3 "price": 12,   |   3 "price": 12.5,
//	unified       3     <   "price": 12,
//	                  3 >   "price": 12.5,
//
// Both fold what is equal and far from what differs, and find the hunks, which
// takes one walk over the rows; draw then makes the lines that are looked at.

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// diffContext is how many equal lines to show around those that differ.
	diffContext = 3
	// foldLeast is how many lines a fold must be worth.
	foldLeast = 3
	// textLeast is how many cells a text has at least before its line number is
	// left out for it.
	textLeast = 12
)

// diffStyles are the looks of a difference. The zero value is plain. They may have
// colours and attributes, but nothing that adds or changes text.
type diffStyles struct {
	Same, Changed  brush
	Removed, Added brush // lines that only production has, or the application
	Word           brush // what differs within a line
	Fold, Number   brush
}

// diffBrushes are the same, ready to draw with.
type diffBrushes struct {
	row                [4]brush // by kind
	word, fold, number brush
}

func (s *diffStyles) brushes() *diffBrushes {
	return &diffBrushes{
		row:    [...]brush{rowSame: s.Same, rowChanged: s.Changed, rowLeft: s.Removed, rowRight: s.Added},
		word:   s.Word,
		fold:   s.Fold,
		number: s.Number,
	}
}

// diffLine is one line of the screen: a row, a side of it, or a fold.
type diffLine struct {
	row  int     // the first one, if it is a fold
	fold int     // how many rows it hides; 0: it is none
	kind rowKind // in unified, rowLeft and rowRight for the sides of one that changed
}

// diffView is rows laid out. It may be drawn concurrently.
type diffView struct {
	rows  []diffRow
	lines []diffLine
	hunks []int // the first line of each run that differs
	sides bool
	digit int // how many digits line numbers have
}

// sideBySide lays out rows with production on the left and the application on
// the right. context is how many equal lines are shown around what differs; with
// less than 0 all are.
func sideBySide(rows []diffRow, context int) diffView {
	v := diffView{rows: rows, sides: true}
	v.layOut(context, func(from, to int) {
		for i := from; i < to; i++ {
			v.lines = append(v.lines, diffLine{row: i, kind: rows[i].kind})
		}
	})
	return v
}

// unified lays out rows one below the other, of each hunk production's lines
// first. context is as in sideBySide.
func unified(rows []diffRow, context int) diffView {
	v := diffView{rows: rows}
	v.layOut(context, func(from, to int) {
		for _, side := range []rowKind{rowLeft, rowRight} {
			for i := from; i < to; i++ {
				if k := rows[i].kind; k == side || k == rowChanged {
					v.lines = append(v.lines, diffLine{row: i, kind: side})
				}
			}
		}
	})
	return v
}

// layOut appends all lines; hunk appends those of rows that differ.
func (v *diffView) layOut(context int, hunk func(from, to int)) {
	v.digit = len(strconv.Itoa(len(v.rows)))
	same := func(from, to int) {
		for i := from; i < to; i++ {
			v.lines = append(v.lines, diffLine{row: i})
		}
	}
	for from := 0; from < len(v.rows); {
		to, is := from+1, v.rows[from].kind == rowSame
		for to < len(v.rows) && (v.rows[to].kind == rowSame) == is {
			to++
		}
		if !is {
			v.hunks = append(v.hunks, len(v.lines))
			hunk(from, to)
			from = to
			continue
		}
		begin, end := from+context, to-context // of the fold
		if from == 0 {
			begin = 0
		}
		if to == len(v.rows) {
			end = to
		}
		if context < 0 || end-begin < foldLeast {
			begin, end = to, to
		}
		same(from, begin)
		if begin < end {
			v.lines = append(v.lines, diffLine{row: begin, fold: end - begin})
		}
		same(end, to)
		from = to
	}
}

// next returns the first line of the next hunk after a line, or -1.
func (v *diffView) next(line int) int {
	for _, at := range v.hunks {
		if at > line {
			return at
		}
	}
	return -1
}

// previous returns the first line of the hunk before a line, or -1.
func (v *diffView) previous(line int) int {
	before := -1
	for _, at := range v.hunks {
		if at < line {
			before = at
		}
	}
	return before
}

// draw returns up to n lines, from the given one on, each exactly that many cells
// wide. Of the texts the first left cells are scrolled out.
func (v *diffView) draw(from, n, cells, left int, s diffStyles) []string {
	from = max(0, min(from, len(v.lines)))
	n = max(0, min(n, len(v.lines)-from))
	b := s.brushes()
	drawn := make([]string, 0, n)
	for _, l := range v.lines[from : from+n] {
		switch {
		case l.fold > 0:
			drawn = append(drawn, b.fold.paint(fit(fmt.Sprintf("⋯ %d equal lines", l.fold), cells)))
		case v.sides:
			drawn = append(drawn, v.drawSides(l, cells, left, b))
		default:
			drawn = append(drawn, v.drawOne(l, cells, left, b))
		}
	}
	return drawn
}

// drawSides draws a row.
func (v *diffView) drawSides(l diffLine, cells, left int, b *diffBrushes) string {
	const gap = 3 // round the marker
	if cells < gap+2 {
		return b.row[l.kind].paint(fit(l.kind.marker(), cells))
	}
	row := &v.rows[l.row]
	number := v.digit + 1
	if cells < gap+2*(number+textLeast) {
		number = 0
	}
	side := func(d *diffSide, cells int) string {
		if d.number == 0 { // nothing: not even the look of a line
			return strings.Repeat(" ", number+cells)
		}
		return drawNumber(d.number, number, b.number) + drawText(d, left, cells, b.row[l.kind], b.word)
	}
	text := (cells - gap - 2*number) / 2
	return side(&row.left, text) + " " + b.row[l.kind].paint(l.kind.marker()) + " " + side(&row.right, cells-gap-2*number-text)
}

// drawOne draws a side of a row, or both if they are the same.
func (v *diffView) drawOne(l diffLine, cells, left int, b *diffBrushes) string {
	if cells < 3 {
		return b.row[l.kind].paint(fit(l.kind.marker(), cells))
	}
	row := &v.rows[l.row]
	number := v.digit + 1
	if cells < 2*number+2+textLeast {
		number = 0
	}
	side, p, a := &row.left, row.left.number, row.right.number
	switch l.kind {
	case rowLeft:
		a = 0
	case rowRight:
		side, p = &row.right, 0
	}
	look := b.row[l.kind]
	return drawNumber(p, number, b.number) + drawNumber(a, number, b.number) + look.paint(l.kind.marker()) + " " + drawText(side, left, cells-2*number-2, look, b.word)
}

// drawNumber draws a line number and a space; 0 is none.
func drawNumber(n, cells int, look brush) string {
	if cells == 0 {
		return ""
	}
	if n == 0 {
		return strings.Repeat(" ", cells)
	}
	return look.paint(fmt.Sprintf("%*d", cells-1, n)) + " "
}

// drawText draws what is to be seen of a line, with what differs marked.
func drawText(d *diffSide, left, cells int, look, word brush) string {
	marks := make([]mark, len(d.words))
	for i, w := range d.words {
		marks[i] = mark{w, word}
	}
	return drawMarked(d.text, marks, left, cells, look)
}
