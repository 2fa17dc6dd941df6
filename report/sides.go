package report

import (
	"slices"
	"strings"
	"unicode"
)

// How much of two answers is set side by side.
const (
	// foldContext is how many equal lines stay around those that differ.
	foldContext = 3
	// foldLimit is how many equal lines a fold may hide and still have. More
	// are left out: the JSON has them.
	foldLimit = 200
	// pairsLimit is how many pairs of lines are shown of a part. 100 examples
	// that differ in every line then take 2 s to write, and 6 MB.
	pairsLimit = 400
)

// part is the head, or the body, of two answers side by side.
type part struct {
	Title string // "" if there is only one part
	Runs  []run
}

// run is a number of pairs in one piece, or what stands in for them.
type run struct {
	Pairs []pair
	Fold  int64  // how many pairs these are, all of them equal, to be opened; 0: they are just shown
	Left  string // what was left out; then there are no Pairs
}

// pair is a line of each side, or of one of them.
type pair struct {
	Production, Application *line
	Differs                 bool
}

// line is a line of an answer; Mark is where it differs from the other side's.
type line struct {
	Number              int // from 1
	Before, Mark, After string
}

// sides sets two answers side by side; nil: there was none.
func sides(production, application *Body) (parts []part) {
	if production == nil && application == nil {
		return nil
	}
	text := func(b *Body, of func(*Body) string, none string) string {
		if b == nil {
			return none
		}
		return of(b)
	}
	head := func(b *Body) string { return b.Head }
	body := func(b *Body) string {
		if b.Cut {
			return strings.TrimSuffix(b.Text, "\n") + "\n… (cut)"
		}
		return b.Text
	}
	const none = "(no answer)"
	p, a := text(production, head, ""), text(application, head, "")
	if p != "" || a != "" {
		parts = append(parts, part{"head", pairs(p, a)}, part{"body", nil})
	} else {
		parts = append(parts, part{})
	}
	last := &parts[len(parts)-1]
	last.Runs = pairs(text(production, body, none), text(application, body, none))
	if len(last.Runs) == 0 {
		parts = parts[:len(parts)-1]
	}
	return parts
}

// pairs finds which lines are the same on both sides.
func pairs(production, application string) []run {
	p, a := splitLines(production), splitLines(application)
	var all []pair
	for _, both := range AlignLines(p, a) {
		x := pair{Differs: !both.Same}
		beside := func(text []string, i int) *line {
			if i < 0 {
				return nil
			}
			if both.Same {
				return &line{Number: i + 1, Before: text[i]}
			}
			return &line{Number: i + 1, Mark: text[i]}
		}
		x.Production, x.Application = beside(p, both.Production), beside(a, both.Application)
		if x.Differs {
			x.narrow()
		}
		all = append(all, x)
	}
	return folded(all)
}

// splitLines is nil for no text.
func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// narrow leaves marked only what differs within the lines.
func (x *pair) narrow() {
	if x.Production == nil || x.Application == nil {
		return
	}
	p, a := []rune(x.Production.Mark), []rune(x.Application.Mark)
	n := 0
	for n < min(len(p), len(a)) && p[n] == a[n] {
		n++
	}
	end := 0
	for end < min(len(p), len(a))-n && p[len(p)-1-end] == a[len(a)-1-end] {
		end++
	}
	// Numbers and words are marked whole.
	for n > 0 && within(p[n-1]) && (n < len(p) && within(p[n]) || n < len(a) && within(a[n])) {
		n--
	}
	for end > 0 && within(p[len(p)-end]) && (end < len(p) && within(p[len(p)-end-1]) || end < len(a) && within(a[len(a)-end-1])) {
		end--
	}
	for l, text := range map[*line][]rune{x.Production: p, x.Application: a} {
		l.Before, l.Mark, l.After = string(text[:n]), string(text[n:len(text)-end]), string(text[len(text)-end:])
	}
}

// within reports that a character is inside of a word or a number.
func within(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) || c == '.' || c == '_' }

// folded hides long runs of equal lines.
func folded(all []pair) (runs []run) {
	shown := 0
	show := func(pairs []pair) {
		if len(pairs) == 0 {
			return
		}
		room := pairsLimit - shown
		shown += len(pairs)
		if room <= 0 {
			return
		}
		runs = append(runs, run{Pairs: pairs[:min(len(pairs), room)]})
	}
	for len(all) > 0 {
		differs := slices.IndexFunc(all, func(x pair) bool { return x.Differs })
		if differs < 0 {
			differs = len(all)
		}
		before, after := foldContext, foldContext // of what is equal
		if len(runs) == 0 {
			before = 0
		}
		if differs == len(all) {
			after = 0
		}
		switch hidden := differs - before - after; {
		case hidden <= foldContext: // not worth a click
			show(all[:differs])
		default:
			show(all[:before])
			if hidden > foldLimit {
				runs = append(runs, run{Left: "… " + count(int64(hidden), "equal line")})
			} else if shown < pairsLimit {
				runs = append(runs, run{Pairs: all[before : before+hidden], Fold: int64(hidden)})
			}
			show(all[before+hidden : differs])
		}
		all = all[differs:]
		equal := slices.IndexFunc(all, func(x pair) bool { return !x.Differs })
		if equal < 0 {
			equal = len(all)
		}
		show(all[:equal])
		all = all[equal:]
	}
	if more := shown - pairsLimit; more > 0 {
		runs = append(runs, run{Left: "… " + count(int64(more), "more line")})
	}
	return runs
}
