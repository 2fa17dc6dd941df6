package tui

// A line of the screen is put together of segments, each so many cells wide:
//
//	assemble    segments as a line, cut or padded to its width
//	phrases     a sentence as lines, broken between words

import (
	"strings"
)

// segment is a part of a line. Its text may be foreign.
type segment struct {
	text  string
	cells int // it is cut or padded to
	look  brush
	right bool // it is padded on the left
}

// assemble makes a line of exactly that many cells. With whole, which is for the
// line under a cursor, all of it has that one look.
func assemble(cells int, whole *brush, segments ...segment) string {
	var b strings.Builder
	room := cells
	for _, p := range segments {
		n := min(p.cells, room)
		if n <= 0 {
			continue
		}
		text := p.text
		if p.right {
			if text = visible(beginning(text, n)); width(text) < n {
				text = strings.Repeat(" ", n-width(text)) + text
			}
		}
		text = fit(text, n)
		if whole == nil && p.text != "" {
			text = p.look.paint(text)
		}
		b.WriteString(text)
		room -= n
	}
	b.WriteString(strings.Repeat(" ", max(room, 0)))
	if whole != nil {
		return whole.paint(b.String())
	}
	return b.String()
}

// styled gives all lines one look.
func styled(look brush, lines []string) []string {
	b := look
	for i, l := range lines {
		lines[i] = b.paint(l)
	}
	return lines
}

// phrases breaks a sentence between words into at most n lines of exactly that
// many cells; what is left over is cut.
func phrases(s string, cells, n int) (all []string) {
	rest := visible(beginning(s, cells*max(n, 1)))
	for len(all) < n-1 && width(rest) > cells {
		end, _ := take(rest, cells+1)
		at := strings.LastIndexByte(rest[:end], ' ')
		if at <= 0 {
			break
		}
		all = append(all, fit(rest[:at], cells))
		rest = rest[at+1:]
	}
	return append(all, fit(rest, cells))
}
