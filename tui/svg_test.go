package tui

import (
	"bytes"
	"fmt"
	"html"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The picture in the README is a screen of these tests, with its colours; make
// screen writes it.
const picture = "../docs/screen.svg"

func TestPicture(t *testing.T) {
	s := newScreen(t, 120, 32)
	for i := range 60 { // a minute of traffic
		s.src.at = s.src.at.Add(time.Second)
		s.src.run.Sessions.Seen += int64(90 + 11*(i*i%7))
		s.src.run.Answers.Identical += int64(420 + 37*(i*i%11))
		s.src.run.Answers.Compared = s.src.run.Answers.Identical + 210
		s.src.run.Answered += int64(2_400_000 + 170_000*(i*3%13))
		s.poll()
	}
	s.press("down", "enter", "]")
	s.note = note{}
	s.st = newStyles(true)
	got := svg(s.draw())
	if updating() {
		if err := os.WriteFile(picture, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not the screen that is drawn now: make screen", picture)
	}
}

var sgr = regexp.MustCompile(`\x1b\[([0-9;]*)m`)

// look is how a piece of text looks.
type look struct {
	fill                     string
	bold, underline, reverse bool
}

// svg draws lines with colours as a terminal does.
func svg(screen []string) []byte {
	const cellW, cellH, size, pad = 8.4, 18, 14, 10
	const paper, ink = "#1b1f27", "#d6d9de"
	columns := method.StringWidth(screen[0])
	var b bytes.Buffer
	w, h := float64(columns)*cellW+2*pad, len(screen)*cellH+2*pad
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" font-family="ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="%d">`+"\n", w, h, w, h, size)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", paper)
	for row, line := range screen {
		at, y := 0, float64(pad+row*cellH)
		now := look{fill: ink}
		for line != "" {
			if m := sgr.FindStringSubmatchIndex(line); m != nil && m[0] == 0 {
				now = now.after(line[m[2]:m[3]], ink)
				line = line[m[1]:]
				continue
			}
			end := strings.IndexByte(line, 0x1b)
			if end < 0 {
				end = len(line)
			}
			text := line[:end]
			line = line[end:]
			cells := method.StringWidth(text)
			fill, x := now.fill, pad+float64(at)*cellW
			if now.reverse {
				fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", x, y, float64(cells)*cellW, cellH, fill)
				fill = paper
			}
			at += cells
			if strings.TrimSpace(text) == "" {
				continue
			}
			lead := len(text) - len(strings.TrimLeft(text, " "))
			text = strings.TrimSpace(text)
			fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" fill="%s" xml:space="preserve" textLength="%.1f" lengthAdjust="spacingAndGlyphs"`, x+float64(lead)*cellW, y+size, fill, float64(method.StringWidth(text))*cellW)
			if now.bold {
				b.WriteString(` font-weight="bold"`)
			}
			if now.underline {
				b.WriteString(` text-decoration="underline"`)
			}
			fmt.Fprintf(&b, ">%s</text>\n", html.EscapeString(text))
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// after returns the look that comes of a sequence's parameters (ECMA-48 §8.3.117).
func (l look) after(parameters, ink string) look {
	p := strings.Split(parameters, ";")
	for i := 0; i < len(p); i++ {
		switch n, _ := strconv.Atoi(p[i]); n {
		case 0:
			l = look{fill: ink}
		case 1:
			l.bold = true
		case 4:
			l.underline = true
		case 7:
			l.reverse = true
		case 38:
			if i+4 < len(p) && p[i+1] == "2" {
				var c [3]int
				for j := range c {
					c[j], _ = strconv.Atoi(p[i+2+j])
				}
				l.fill = fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2])
				i += 4
			}
		}
	}
	return l
}
