package tui

import (
	"fmt"
	"strings"
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// named writes each token with a letter for its kind.
func named(line string, tokens []token) string {
	var b strings.Builder
	at := 0
	for _, t := range tokens {
		fmt.Fprintf(&b, "%s<%c %s>", line[at:t.from], "SNksnl"[t.kind], line[t.from:t.to])
		at = t.to
	}
	return b.String() + line[at:]
}

func TestHeadTokens(t *testing.T) {
	for line, want := range map[string]string{
		"":                              "",
		"HTTP/1.1 200 OK":               "HTTP/1.1 <S 200 OK>",
		"HTTP/1.1":                      "HTTP/1.1",
		"Content-Type: text/html; a: b": "<N Content-Type>: text/html; a: b",
		"GET http://a/ HTTP/1.1":        "GET http://a/ HTTP/1.1",
		": a":                           ": a",
		"no colon":                      "no colon",
	} {
		if got := named(line, headTokens(line)); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

func TestJSONTokens(t *testing.T) {
	for line, want := range map[string]string{
		"":                                   "",
		`  "price": 12.5e-3,`:                `  <k "price">: <n 12.5e-3>,`,
		`{"a" : [true,false, null], "b":-1}`: `{<k "a"> : [<l true>,<l false>, <l null>], <k "b">:<n -1>}`,
		`["a\"b\\", "c: d"]`:                 `[<s "a\"b\\">, <s "c: d">]`,
		`"without end`:                       `<s "without end>`,
		`"without end\`:                      `<s "without end\>`,
		`trueish truly NULL`:                 `trueish truly NULL`,
		`"日本語": "e` + "\u0301\"":             `<k "日本語">: <s "e` + "\u0301\">",
		"1\u0301 2":                          "<n 1\u0301> <n 2>",
	} {
		if got := named(line, jsonTokens(line)); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

// Without colours a line is plain; with them its text and width stay.
func FuzzTokens(f *testing.F) {
	for i, s := range append(seeds, `{"a": [1, "b", null]}`, "HTTP/1.1 200 OK", "a: b") {
		f.Add(s, i, 2*i)
	}
	c := func(n string) brush {
		return brushOf(lipgloss.NewStyle().Foreground(lipgloss.Color(n)).Underline(true))
	}
	styles := messageStyles{c("1"), c("2"), c("3"), c("4"), c("5"), c("6"), c("7")}
	f.Fuzz(func(t *testing.T, s string, left, cells int) {
		line := visible(s)
		left, cells = left%50, cells%100
		for _, tokens := range [][]token{headTokens(line), jsonTokens(line)} {
			plain := drawTokens(line, tokens, left, cells, messageStyles{})
			if rest := steers(plain); rest != "" || plain != fit(cutLeft(line, left), cells) {
				t.Errorf("%q is drawn as %q", line, plain)
			}
			styled := drawTokens(line, tokens, left, cells, styles)
			if ansi.Strip(styled) != plain || method.StringWidth(styled) != max(0, cells) {
				t.Errorf("%q is drawn as %q", line, styled)
			}
		}
	})
}
