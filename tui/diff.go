package tui

// Two texts, and where they differ:
//
//	diffRows    production's lines beside the application's
//	words       what differs within a line
//	sideBySide, unified (diffview.go)    the rows as lines of a screen

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"tcpsandbox/report"
)

// rowKind says which sides have a line, and whether it is the same.
type rowKind byte

const (
	rowSame rowKind = iota
	rowChanged
	rowLeft  // only production has it
	rowRight // only the application has it
)

// marker tells the kind without colour.
func (k rowKind) marker() string { return " |<>"[k : k+1] }

// diffRow is a line of production's beside one of the application's.
type diffRow struct {
	kind        rowKind
	left, right diffSide // production's, the application's
}

// diffSide is a line of one side, visible.
type diffSide struct {
	number int // from 1; 0: this side has none here
	text   string
	words  []span // what differs, where both have a line; in order, apart
}

// span is a part of a visible text, in bytes. It cuts no character from its marks.
type span struct{ from, to int }

// diffRows sets two foreign texts side by side, by their lines. Lines that look
// alike and are not the same bytes differ. The result takes 110 bytes a line,
// and refers to the texts.
func diffRows(production, application string) []diffRow {
	p, a := split(production, application), split(application, production)
	aligned := report.AlignLines(p, a)
	rows := make([]diffRow, len(aligned))
	for i, x := range aligned {
		r := &rows[i]
		if x.Production >= 0 {
			r.left = diffSide{number: x.Production + 1, text: visible(p[x.Production])}
		}
		if x.Application >= 0 {
			r.right = diffSide{number: x.Application + 1, text: visible(a[x.Application])}
		}
		switch {
		case x.Same:
			r.right.text = r.left.text
		case x.Application < 0:
			r.kind = rowLeft
		case x.Production < 0:
			r.kind = rowRight
		default:
			r.kind = rowChanged
			r.left.words, r.right.words = words(r.left.text, r.right.text)
		}
	}
	return rows
}

// split returns the lines of a text. A line end at its end begins another line,
// which is empty, if that is how it differs from the other text.
func split(s, other string) []string {
	if s == "" {
		return nil
	}
	if other == "" || strings.HasSuffix(other, "\n") {
		s = strings.TrimSuffix(s, "\n")
	}
	return strings.Split(s, "\n")
}

// wordsLimit is how long two lines may be together for their words to be set side
// by side, which takes 0.25 µs a byte.
const wordsLimit = 128 << 10

// words returns what differs between two visible lines: words and numbers as a
// whole, other characters by themselves. Lines that are long or have no word in
// common differ in one piece. If they look alike, both differ in all.
func words(left, right string) (l, r []span) {
	if left == right {
		return joined([]span{{0, len(left)}}, left), joined([]span{{0, len(right)}}, right)
	}
	if len(left)+len(right) > wordsLimit {
		return piece(left, right)
	}
	p, a := tokens(left), tokens(right)
	aligned := report.Align(p, a)
	first, last := -1, -1 // of what differs
	related := false
	for i, x := range aligned {
		if !x.Same {
			if first < 0 {
				first = i
			}
			last = i
		} else if word(p[x.Production]) {
			related = true
		}
	}
	at, bt := 0, 0
	for i, x := range aligned {
		differs := !x.Same || !related && first < i && i < last
		if x.Production >= 0 {
			if end := at + len(p[x.Production]); differs {
				l, at = append(l, span{at, end}), end
			} else {
				at = end
			}
		}
		if x.Application >= 0 {
			if end := bt + len(a[x.Application]); differs {
				r, bt = append(r, span{bt, end}), end
			} else {
				bt = end
			}
		}
	}
	return joined(l, left), joined(r, right)
}

// piece returns what is between the common ends of two visible lines.
func piece(left, right string) (l, r []span) {
	from := 0
	for from < min(len(left), len(right)) {
		n, _ := cell(left[from:])
		if m, _ := cell(right[from:]); n != m || left[from:from+n] != right[from:from+n] {
			break
		}
		from += n
	}
	end := 0
	for end < min(len(left), len(right))-from && left[len(left)-1-end] == right[len(right)-1-end] {
		end++
	}
	until := func(s string) int { // the first whole character that the common end has
		at := from
		for at < len(s)-end {
			n, _ := cell(s[at:])
			at += n
		}
		return at
	}
	return joined([]span{{from, until(left)}}, left), joined([]span{{from, until(right)}}, right)
}

// tokens cuts visible text into words and single characters.
func tokens(s string) (all []string) {
	from, at, in := 0, 0, false // in a word
	for at < len(s) {
		n, _ := cell(s[at:])
		if is := word(s[at:]); !is || !in {
			if at > from {
				all = append(all, s[from:at])
			}
			from, in = at, is
		}
		at += n
	}
	if at > from {
		all = append(all, s[from:at])
	}
	return all
}

// word reports that a text begins with a character of a word or a number.
func word(s string) bool {
	c, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(c) || unicode.IsDigit(c) || c == '.' || c == '_'
}

// joined makes one of spans between which there is nothing or only spaces.
func joined(spans []span, of string) (all []span) {
	for _, s := range spans {
		if n := len(all); n > 0 && strings.Trim(of[all[n-1].to:s.from], " ") == "" {
			all[n-1].to = s.to
		} else if s.from < s.to {
			all = append(all, s)
		}
	}
	return all
}

// column returns how many cells of the row's text are before what differs first,
// for scrolling sideways to it.
func (r *diffRow) column() int {
	for _, side := range []diffSide{r.left, r.right} {
		if len(side.words) > 0 {
			return width(side.text[:side.words[0].from])
		}
	}
	return 0
}
