package tui

import (
	"fmt"
	"strings"
	"time"

	"tcpsandbox/replay"
)

// sessions is the table of all sessions, with a cursor on one of them. The
// cursor stays on its session, and that on its line of the screen, when rows are
// ordered anew, filtered or added; where its session is not shown any more, it
// goes to the row that took the place.
type sessions struct {
	rows   rows
	slot   int    // of the session under the cursor; it has none before the first apply
	cursor int    // where that is among the rows shown
	top    int    // the first row on the screen
	lines  int    // rows that the last view had room for
	width  int    // of the last view
	follow bool   // the cursor goes to every new session
	text   string // of the filter
}

// apply takes in what changed.
func (s *sessions) apply(views []replay.View, now time.Time) {
	if s.rows.total == 0 {
		s.slot = -1
	}
	s.rows.pinned = s.slot
	s.rows.apply(views, now)
	s.settle()
}

// settle finds the cursor's session again.
func (s *sessions) settle() {
	shown := s.rows.shown
	if len(shown) == 0 {
		s.cursor, s.top = 0, 0 // slot stays, for when there are rows again
		return
	}
	if s.follow {
		s.slot = s.rows.newest()
	}
	at, _ := s.rows.index(s.slot)
	at = min(at, len(shown)-1)
	s.top += at - s.cursor
	s.put(at)
}

// put sets the cursor on a row that is shown.
func (s *sessions) put(at int) {
	s.cursor, s.slot = at, int(s.rows.shown[at])
	s.scroll()
}

// scroll keeps the cursor on the screen, and the screen full.
func (s *sessions) scroll() {
	if s.lines == 0 {
		return // nobody has looked yet
	}
	s.top = max(min(s.top, s.cursor), s.cursor-s.lines+1)
	s.top = max(min(s.top, len(s.rows.shown)-s.lines), 0)
}

// to moves the cursor to a row, or as far as there are any.
func (s *sessions) to(at int) {
	s.follow = false
	if n := len(s.rows.shown); n > 0 {
		s.put(max(0, min(at, n-1)))
	}
}

func (s *sessions) move(rows int) { s.to(s.cursor + rows) }

// page moves by screens, of which one row stays in sight.
func (s *sessions) page(n int) { s.to(s.cursor + n*max(s.lines-1, 1)) }

func (s *sessions) home() { s.to(0) }

func (s *sessions) last() { s.to(len(s.rows.shown) - 1) }

// choose sets the cursor on a session, and drops a filter that hides it; false:
// there is no such session.
func (s *sessions) choose(id uint64, copy int) bool {
	slot := s.rows.find(id, copy)
	if slot < 0 {
		return false
	}
	if !s.rows.match[slot] {
		s.text = ""
		s.rows.pick(filter{})
	}
	at, _ := s.rows.index(slot)
	s.to(at)
	return true
}

// click sets the cursor on a line of the view; false: there is no session.
func (s *sessions) click(line int) bool {
	at := s.top + line - 1
	if line < 1 || line > s.lines || at >= len(s.rows.shown) {
		return false
	}
	s.to(at)
	return true
}

// wheel scrolls. The cursor stays where it is as long as that is on the screen.
func (s *sessions) wheel(rows int) {
	n := len(s.rows.shown)
	if n == 0 {
		return
	}
	s.top = max(0, min(s.top+rows, n-s.lines))
	s.to(max(s.top, min(s.cursor, s.top+s.lines-1)))
}

// selected returns the session under the cursor.
func (s *sessions) selected() (replay.View, bool) {
	if len(s.rows.shown) == 0 {
		return replay.View{}, false
	}
	return s.rows.view(s.slot), true
}

// toggleFollow has the cursor go to every new session, until it is moved.
func (s *sessions) toggleFollow() {
	s.follow = !s.follow
	s.settle()
}

// sortBy sorts by the n-th next column of those that are on the screen, n may be
// negative: numbers begin with the largest, all else with the smallest.
func (s *sessions) sortBy(n int) {
	column, step := s.rows.column, 1
	if n < 0 {
		n, step = -n, -1
	}
	for ; n > 0; n-- {
		column = (column + step + len(columns)) % len(columns)
		for s.width > 0 && columns[column].from > s.width {
			column = (column + step + len(columns)) % len(columns)
		}
	}
	s.rows.sort(column, columns[column].down)
	s.settle()
}

// reverse sorts the other way round.
func (s *sessions) reverse() {
	s.rows.sort(s.rows.column, !s.rows.reverse)
	s.settle()
}

// sign marks the column that is sorted by.
func (s *sessions) sign() string {
	if s.rows.reverse {
		return "▼"
	}
	return "▲"
}

// filter shows only what matches; see parseFilter. With an error everything
// stays as it was.
func (s *sessions) filter(text string) error {
	f, err := parseFilter(text)
	if err != nil {
		return err
	}
	s.text = strings.TrimSpace(text)
	s.rows.pick(f)
	s.settle()
	return nil
}

func (s *sessions) filterText() string { return s.text }

// view draws the table: height lines of width cells. Only rows that can be seen
// are looked at, so it takes no longer with 100,000 of them (BenchmarkView).
func (s *sessions) view(width, height int, st styles, focused bool, now time.Time) []string {
	width, height = max(width, 0), max(height, 0)
	s.width, s.lines = width, max(height-1, 0)
	footer := s.footer()
	if s.lines < 3 {
		footer = ""
	}
	if footer != "" {
		s.lines--
	}
	s.scroll()
	all := make([]string, 0, height)
	if height == 0 {
		return all
	}
	cells := s.layout(width)
	all = append(all, st.Header.paint(s.header(cells, width)))
	for at := s.top; at < len(s.rows.shown) && len(all) <= s.lines; at++ {
		all = append(all, s.line(int(s.rows.shown[at]), at == s.cursor, cells, width, &st, focused, now))
	}
	if len(s.rows.shown) == 0 {
		for _, text := range s.nothing() {
			if len(all) <= s.lines {
				all = append(all, st.Faint.paint(fit(text, width)))
			}
		}
	}
	all = filled(all, width, s.lines+1)
	if footer != "" {
		all = append(all, st.Label.paint(fit(footer, width)))
	}
	return all
}

// footer says why the table does not show all, or does not stand still; "": it
// does.
func (s *sessions) footer() string {
	n := len(s.rows.shown)
	switch {
	case n == 0:
		return "" // nothing says so
	case s.text != "" && s.follow:
		return fmt.Sprintf(" the newest (f) of %d of %d that match %s (/ changes the filter, esc drops it)", n, s.rows.total, s.text) + s.gone()
	case s.text != "":
		return fmt.Sprintf(" %d of %d match %s (/ changes the filter, esc drops it)", n, s.rows.total, s.text) + s.gone()
	case s.follow:
		return " follows the newest session (f)" + s.gone()
	case s.rows.gone > 0:
		return " " + strings.TrimPrefix(s.gone(), ", ")
	}
	return ""
}

// gone says how many sessions are not in the table any more; "": all are.
func (s *sessions) gone() string {
	if s.rows.gone == 0 {
		return ""
	}
	return fmt.Sprintf(", %d that ended are not listed any more: the memory for them is full", s.rows.gone)
}

// nothing says why there are no rows.
func (s *sessions) nothing() []string {
	if s.rows.total == 0 {
		return []string{"", " No session yet", " It comes here with its first packet"}
	}
	return []string{"", fmt.Sprintf(" None of %d matches %s", s.rows.total, s.text), " / changes the filter, esc drops it"}
}

// layout gives the columns their widths; 0: not shown.
func (s *sessions) layout(width int) (cells [len(columns)]int) {
	left := width + 1 // the first has none before it
	for i, c := range columns {
		if width >= c.from {
			cells[i] = c.min
			left -= c.min + 1
		}
	}
	grow := func(i, to int) {
		if more := min(to-cells[i], left); cells[i] > 0 && more > 0 {
			cells[i] += more
			left -= more
		}
	}
	grow(stateColumn, columns[stateColumn].want)
	grow(clientColumn, columns[clientColumn].want)
	if left >= verdictWidth-cells[verdictColumn] { // half a word is worse than the sign
		grow(verdictColumn, verdictWidth)
	}
	for i, c := range columns {
		if c.grows {
			widest := s.rows.widest[i]
			if i == numberColumn {
				widest++ // the cursor's cell
			}
			grow(i, widest)
		}
	}
	grow(len(columns)-1, width)
	return cells
}

// header is the line of titles. A column's sign stands beside its title, where
// there is room: numbers have it before, so it may stand between two columns.
func (s *sessions) header(cells [len(columns)]int, width int) string {
	var b strings.Builder
	for i, c := range columns {
		if cells[i] == 0 {
			continue
		}
		title, room := c.title, cells[i]
		between := min(b.Len(), 1)
		switch {
		case c.right:
			if i == s.rows.column {
				title = s.sign() + title
			}
			title = alignRight(title, room+between)
		case i == s.rows.column:
			title = strings.Repeat(" ", between) + fit(strings.TrimRight(fit(title, min(len(title), room-1)), " ")+s.sign(), room)
		default:
			if room == 1 {
				title = title[:1]
			}
			title = strings.Repeat(" ", between) + fit(title, room)
		}
		b.WriteString(title)
	}
	return fit(b.String(), width)
}

// line is the line of a session.
func (s *sessions) line(slot int, cursor bool, cells [len(columns)]int, width int, st *styles, focused bool, now time.Time) string {
	row := s.rows.at(slot)
	var b strings.Builder
	used := 0
	for i := range columns {
		c := &columns[i]
		room := min(cells[i], width-used)
		if room <= 0 {
			continue
		}
		text := c.cell(row, now)
		switch {
		case i == numberColumn:
			mark := " "
			if cursor {
				mark = "▸"
			}
			text = mark + alignRight(text, room-1)
		case c.right:
			text = alignRight(text, room)
		case i == verdictColumn && room < verdictWidth:
			text = fit(verdictSigns[row.view.Verdict], room)
		case c.grows && len(text) > room: // of an address, the end tells it from others
			text = fit(cutLeft(text, len(text)-room), room)
		default:
			text = fit(text, room)
		}
		if c.style != nil && !(cursor && focused) {
			text = c.style(row, st).paint(text)
		}
		b.WriteString(text)
		used += room
		if used < width {
			b.WriteByte(' ')
			used++
		}
	}
	line := b.String() + strings.Repeat(" ", width-used)
	if cursor && focused {
		return st.Selected.paint(line)
	}
	return line
}

// alignRight is fit, but for numbers.
func alignRight(s string, cells int) string {
	if n := width(s); n < cells {
		return strings.Repeat(" ", cells-n) + s
	}
	return fit(s, cells)
}
