package tui

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// rgb is a colour in linear light, 0 to 1.
type rgb [3]float64

func (c rgb) luminance() float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }

// linear undoes the gamma of sRGB (IEC 61966-2-1), of 0 to 255.
func linear(v int) float64 {
	c := float64(v) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

var foreground = regexp.MustCompile(`38;2;(\d+);(\d+);(\d+)`)

// ink is the colour that a brush paints in.
func (b brush) ink(t *testing.T) rgb {
	t.Helper()
	found := foreground.FindStringSubmatch(b.on)
	if found == nil {
		t.Fatalf("%q has no colour", b.on)
	}
	var c rgb
	for i := range c {
		var v int
		fmt.Sscan(found[i+1], &v)
		c[i] = linear(v)
	}
	return c
}

// inks are the styles with colours of their own.
func (st *styles) inks() map[string]brush {
	return map[string]brush{
		"label": st.Label, "faint": st.Faint, "good": st.Good, "warn": st.Warn, "bad": st.Bad, "accent": st.Accent, "added": st.Added, "removed": st.Removed,
	}
}

// What is written can be read: WCAG 2.2, 1.4.3 asks for a contrast of 4.5:1, on black
// as on white, and on the greys next to them that many have instead.
func TestContrast(t *testing.T) {
	for _, c := range []struct {
		dark   bool
		papers []int
	}{{true, []int{0, 0x1e}}, {false, []int{255, 0xfa}}} {
		st := newStyles(c.dark)
		for name, b := range st.inks() {
			for _, paper := range c.papers {
				p, i := linear(paper), b.ink(t).luminance()
				if got := (max(p, i) + 0.05) / (min(p, i) + 0.05); got < 4.5 {
					t.Errorf("%s on a grey of %d: contrast of %.2f", name, paper, got)
				}
			}
		}
	}
}

// sights are how colours look to those who lack one kind of cones, in linear light:
// Machado, Oliveira and Fernandes 2009, severity 1.
var sights = map[string][3]rgb{
	"all cones":    {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// lab is a colour in CIE L*a*b*, under D65.
func lab(c rgb) (l [3]float64) {
	for i := range c {
		c[i] = max(0, min(c[i], 1))
	}
	f := func(v float64) float64 {
		if v > 216.0/24389 {
			return math.Cbrt(v)
		}
		return (24389.0/27*v + 16) / 116
	}
	x := f((0.4124564*c[0] + 0.3575761*c[1] + 0.1804375*c[2]) / 0.95047)
	y := f(c.luminance())
	z := f((0.0193339*c[0] + 0.1191920*c[1] + 0.9503041*c[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// leastApart is how far colours must be apart that are to be told, as CIE76 ΔE. One
// can be seen in two large patches beside each other at 2.3; letters are thin and
// apart.
const leastApart = 20

// What must not be mistaken can be told by all who see, though each has a sign
// besides.
func TestColoursApart(t *testing.T) {
	for _, dark := range []bool{true, false} {
		st := newStyles(dark)
		for _, pair := range []struct {
			name string
			a, b brush
		}{
			{"good and warn", st.Good, st.Warn}, {"good and bad", st.Good, st.Bad}, {"warn and bad", st.Warn, st.Bad},
			{"added and removed", st.Added, st.Removed}, {"good and faint", st.Good, st.Faint}, {"bad and faint", st.Bad, st.Faint}, {"warn and faint", st.Warn, st.Faint},
		} {
			for who, m := range sights {
				see := func(b brush) (seen rgb) {
					ink := b.ink(t)
					for i := range seen {
						for j := range ink {
							seen[i] += m[i][j] * ink[j]
						}
					}
					return seen
				}
				a, b := lab(see(pair.a)), lab(see(pair.b))
				apart := math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
				if apart < leastApart {
					t.Errorf("dark %v: with %s %s are %.1f apart, want %d", dark, who, pair.name, apart, leastApart)
				}
			}
		}
	}
}

// Colours tell nothing that the text does not: without them (NO_COLOR) each screen
// has the same text, and what is chosen and what is open have a sign.
func TestPlainTellsAll(t *testing.T) {
	for name, there := range places() {
		for _, dark := range []bool{true, false} {
			s := newScreen(t, 120, 40)
			there(s)
			plain := s.text()
			s.send(tea.BackgroundColorMsg{Color: ansi.IndexedColor(map[bool]uint8{true: 0, false: 15}[dark])})
			styled := strings.Join(s.draw(), "\n") + "\n"
			if styled == plain {
				t.Errorf("%s has no colours", name)
			}
			if got := ansi.Strip(styled); got != plain {
				t.Errorf("%s reads otherwise with colours:\n%s\nwithout:\n%s", name, got, plain)
			}
			// What is painted in reverse, by which a cursor is seen, has a sign.
			for line := range strings.SplitSeq(styled, "\n") {
				if text, ok := strings.CutPrefix(line, s.st.Selected.on); ok && !strings.Contains(ansi.Strip(text), "▸") {
					t.Errorf("%s: the line under the cursor has no sign: %s", name, ansi.Strip(line))
				}
			}
		}
	}
}
