package tui

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"tcpsandbox/compare"
	"tcpsandbox/replay"
	"tcpsandbox/report"
)

var colour = regexp.MustCompile(`\x1b\[[0-9;:]*m`)

// harmless checks what was drawn: its size, and that nothing in it steers the
// terminal but colours.
func harmless(t *testing.T, out []string, cells, height int, plain bool) {
	t.Helper()
	if len(out) != max(height, 0) {
		t.Fatalf("%d lines, want %d", len(out), height)
	}
	for i, line := range out {
		if n := ansi.StringWidth(line); n != cells {
			t.Fatalf("line %d of %dx%d is %d cells wide: %q", i, cells, height, n, line)
		}
		if !utf8.ValidString(line) {
			t.Fatalf("line %d is no UTF-8: %q", i, line)
		}
		if !plain {
			line = colour.ReplaceAllString(line, "")
		}
		if at := strings.IndexFunc(line, func(r rune) bool { return unicode.Is(unicode.C, r) }); at >= 0 {
			t.Fatalf("line %d steers the terminal: %q", i, line[at:])
		}
	}
}

func FuzzPanels(f *testing.F) {
	f.Add("GET / HTTP/1.1", "{\"a\": 1}\n", "{\"a\": 2}\n", 80, 19, 5)
	f.Add("\x1b]0;owned\x07", "\x1b[2J\x1b[H\u202e\x9b31m", "a\u0301\u0301日本\xff\x00", 40, 8, 200)
	f.Add("\x1bP+q\x1b\\", strings.Repeat("\u200d\u0e33", 40), strings.Repeat("👩‍👩‍👧", 30)+"\r\n\t", 61, 12, -3)
	f.Add("answer 1", "", "\n\n\n", 1, 1, 0)
	f.Add("turn 1", "HTTP/1.1 200 OK\nx: y", "[", 7, 3, 1<<40)
	f.Fuzz(func(t *testing.T, label, production, application string, cells, height, number int) {
		cells, height = abs(cells)%210, abs(height)%60
		s := failedStory()
		s.Failure, s.Place, s.State = production, application, []string{"reset", "", label, "unanswered", "unsupported", "finished"}[abs(number)%6]
		s.Application = replay.ApplicationState(abs(number) % (int(replay.Unplayed) + 1))
		s.Held = replay.Holding(abs(number) % (int(replay.ForAccept) + 1))
		s.Facts = append(s.Facts, [3]string{label, production, application})
		s.Omitted, s.Missing = number, int64(number)
		for i := range s.Played {
			p := &s.Played[i]
			p.Label, p.RequestLen, p.AnswerLen[i%2] = label, int64(number), int64(number)
			p.First[i%2], p.Judged = time.Duration(number), (number+i)%2 == 0
		}
		d := &detail{}
		d.set(s, began.Add(time.Duration(number)))
		e := jsonDiffers()
		e.Why, e.Verdict = label, compare.Verdict(abs(number)%int(compare.Uncompared+1))
		e.Production = &report.Body{Head: label, Text: production}
		e.Application = &report.Body{Head: application, Text: application + label, Cut: number%2 == 0}
		e.Request = &report.Body{Head: production, Text: application}
		e.Raw = [2][]byte{[]byte(production), []byte(application)}
		e.Differences = append(e.Differences, report.Difference{Place: label, Path: production, Production: application, Application: label})
		e.Excused = []report.Excused{{Place: label, Why: production}}
		x := &answers{request: true, all: number%2 == 0, mode: exchangeMode(abs(number) % int(exchangeModes))}
		x.set(&s.Played[abs(number)%3], e)
		g := &answers{}
		g.setGroup(&report.Group{
			Request: label, Places: []string{production}, Count: int64(number), Client: application,
			Differences: e.Differences, Production: e.Production, Application: e.Application,
		})
		nothing := &answers{}
		nothing.set(&s.Played[0], nil)
		waits := &detail{}
		waits.loading(s.View)
		for _, st := range []styles{{}, newStyles(true)} {
			plain := st.Title == (brush{})
			for _, p := range []drawn{d, x, g, nothing, waits, &detail{}, &answers{}} {
				harmless(t, view(p, cells, height, st), cells, height, plain)
				if m, ok := p.(panel); ok {
					m.move(number)
					m.page(1)
					m.last()
				}
				switch p := p.(type) {
				case *detail:
					p.nextDifference(1)
					p.toggleFacts()
					p.click(number)
				case *answers:
					p.nextDifference(1)
					p.sideways(number)
				}
				harmless(t, view(p, cells, height, st), cells, height, plain)
			}
		}
	})
}

// view draws nothing where there is no room.
func view(p drawn, cells, height int, st styles) []string {
	out := p.view(cells, height, st, true)
	if cells <= 0 && out == nil {
		return make([]string, height)
	}
	return out
}

func abs(n int) int { return max(n, -n, 0) }

// A megabyte in a line, or in a million lines, is drawn while somebody waits.
func BenchmarkAnswers(b *testing.B) {
	for name, unit := range map[string]string{"line": "word ", "lines": "word\n"} {
		text := strings.Repeat(unit, 256<<10/len(unit))
		e := &Explanation{Verdict: compare.Different, Production: &report.Body{Text: text}, Application: &report.Body{Text: text[:len(text)/2] + "x" + text[len(text)/2:]}}
		played := &failedStory().Played[1]
		b.Run("set/"+name, func(b *testing.B) {
			for b.Loop() {
				x := &answers{}
				x.set(played, e)
				x.view(120, 25, styles{}, true)
			}
		})
		b.Run("view/"+name, func(b *testing.B) {
			x := &answers{}
			x.set(played, e)
			x.view(120, 25, styles{}, true)
			x.nextDifference(1)
			for b.Loop() {
				x.view(120, 25, styles{}, true)
			}
		})
	}
}

// A session with all exchanges that are kept.
func BenchmarkDetail(b *testing.B) {
	s := failedStory()
	for i := range 256 {
		s.Played = append(s.Played, answered(request(3+i, "GET /items HTTP/1.1", time.Duration(400+i), time.Duration(100+i), replay.Exact), time.Duration(401+i), time.Duration(101+i), [2]int64{9, 9}, compare.Identical))
	}
	b.Run("set", func(b *testing.B) {
		d := &detail{}
		for b.Loop() {
			d.set(s, began)
		}
	})
	b.Run("view", func(b *testing.B) {
		d := &detail{}
		d.set(s, began)
		st := newStyles(true)
		for b.Loop() {
			d.view(120, 25, st, true)
		}
	})
}
