package tui

// Bytes as people read them, one text or two beside each other:
//
//	000010  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  GET / HTTP/1.1··
//	000010  47 45 54 20  GET  | 47 45 50 20  GEP
//
// Only the rows that are looked at are made, so a megabyte costs what a screen
// does.

import (
	"bytes"
	"fmt"
	"strings"
)

// hexView lays bytes out in rows. The zero value has none.
type hexView struct {
	left, right []byte // production's, the application's; not changed
	sides       bool   // show both
	cells       int
	row         int // bytes in a row
}

// hexOne lays out one text on lines of that many cells.
func hexOne(p []byte, cells int) hexView {
	return hexView{left: p, cells: cells, row: hexRow(cells, 1)}
}

// hexSides lays out production's bytes beside the application's, each beside the
// one at the same offset.
func hexSides(production, application []byte, cells int) hexView {
	return hexView{left: production, right: application, sides: true, cells: cells, row: hexRow(cells, 2)}
}

const (
	// hexOffset is how many cells an offset takes, with the space behind it, which
	// it loses from 256 MiB on.
	hexOffset = 8
	// hexGap is how many cells are between two sides.
	hexGap = 3
)

// hexRow returns how many bytes of a side a row has, so that they have room: 16
// from 74 cells on, or from 143 with two sides; 8 with two from 77 on, which an
// 80x24 terminal has inside of a border; else 4, which may be cut off.
func hexRow(cells, sides int) int {
	for _, n := range []int{16, 8} {
		if hexOffset+sides*hexSide(n)+(sides-1)*hexGap <= cells {
			return n
		}
	}
	return 4
}

// hexSide is how many cells n bytes take: three each, one between eight and eight,
// one more before the text, and that.
func hexSide(n int) int { return 4*n + (n-1)/8 + 1 }

// rows returns how many rows there are.
func (v *hexView) rows() int {
	if v.row == 0 {
		return 0
	}
	return (max(len(v.left), len(v.right)) + v.row - 1) / v.row
}

// rowAt returns the row that has the byte at an offset.
func (v *hexView) rowAt(offset int) int { return offset / max(1, v.row) }

// differs reports whether a row is not the same on both sides.
func (v *hexView) differs(row int) bool {
	return v.sides && !bytes.Equal(v.bytes(v.left, row), v.bytes(v.right, row))
}

// next returns the first row of the next run of rows that differ after a row, or
// -1. It looks at each byte up to there: 1 MiB takes 2 ms.
func (v *hexView) next(row int) int {
	before := row >= 0 && v.differs(row)
	for row++; row < v.rows(); row++ {
		differs := v.differs(row)
		if differs && !before {
			return row
		}
		before = differs
	}
	return -1
}

// previous returns the first row of the run of rows that differ before a row, or
// -1.
func (v *hexView) previous(row int) int {
	for row--; row >= 0; row-- {
		if v.differs(row) && (row == 0 || !v.differs(row-1)) {
			return row
		}
	}
	return -1
}

// bytes returns those of a row.
func (v *hexView) bytes(p []byte, row int) []byte {
	from := min(len(p), row*v.row)
	return p[from:min(len(p), from+v.row)]
}

// draw returns up to n rows, from the given one on, each exactly as wide as the
// view. Offsets look like line numbers, bytes that differ like words.
func (v *hexView) draw(from, n int, s diffStyles) []string {
	from = max(0, min(from, v.rows()))
	n = max(0, min(n, v.rows()-from))
	b := s.brushes()
	drawn := make([]string, n)
	for i := range drawn {
		drawn[i] = v.drawRow(from+i, b)
	}
	return drawn
}

func (v *hexView) drawRow(row int, b *diffBrushes) string {
	p, a := v.bytes(v.left, row), v.bytes(v.right, row)
	kind := rowSame
	switch {
	case !v.differs(row):
	case len(a) == 0:
		kind = rowLeft
	case len(p) == 0:
		kind = rowRight
	default:
		kind = rowChanged
	}
	line := hexLine{room: max(0, v.cells)}
	offset := fmt.Sprintf("%06x", row*v.row)
	line.add(b.number, offset)
	line.add(brush{}, strings.Repeat(" ", max(0, hexOffset-len(offset))))
	other := a
	if !v.sides {
		other = p
	}
	line.side(p, other, v.row, b.row[kind], b.word)
	if v.sides {
		line.add(brush{}, " ")
		line.add(b.row[kind], kind.marker())
		line.add(brush{}, " ")
		line.side(a, p, v.row, b.row[kind], b.word)
	}
	line.add(brush{}, strings.Repeat(" ", line.room))
	line.flush()
	return line.b.String()
}

// hexLine is a line that is being drawn. What has no more room is left out.
type hexLine struct {
	b    strings.Builder
	room int
	run  strings.Builder // not drawn yet, in look
	look brush
}

// add appends ASCII, and "·".
func (l *hexLine) add(look brush, s string) {
	if look != l.look {
		l.flush()
		l.look = look
	}
	for _, c := range s {
		if l.room == 0 {
			return
		}
		l.run.WriteRune(c)
		l.room--
	}
}

func (l *hexLine) flush() {
	l.b.WriteString(l.look.paint(l.run.String()))
	l.run.Reset()
}

// side draws n bytes, where there are so many, and their text.
func (l *hexLine) side(p, other []byte, n int, look, word brush) {
	of := func(i int) brush {
		if i < len(p) && (i >= len(other) || p[i] != other[i]) {
			return word
		}
		return look
	}
	for i := range n {
		if i > 0 {
			l.add(brush{}, " ")
			if i%8 == 0 {
				l.add(brush{}, " ")
			}
		}
		if i < len(p) {
			l.add(of(i), fmt.Sprintf("%02x", p[i]))
		} else {
			l.add(brush{}, "  ")
		}
	}
	l.add(brush{}, "  ")
	for i := range n {
		switch {
		case i >= len(p):
			l.add(brush{}, " ")
		case p[i] < ' ' || p[i] > '~':
			l.add(of(i), "·")
		default:
			l.add(of(i), string(p[i:i+1]))
		}
	}
}
