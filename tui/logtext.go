package tui

// The application's log: a line as it was written in, visible text out.

import (
	"strings"
	"unicode/utf8"
)

// tabStop is where a terminal goes at a tab: to the next multiple of it.
const tabStop = 8

// logText makes a line of an application's log visible. Its escape sequences
// say how to paint a screen that is not there, so they are left out. A tab goes
// to the next stop, as logs use it for columns.
//
// A sequence that does not end, ends with the line (ECMA-48 §5.4 to §5.6 have
// its forms).
func logText(line string) string {
	if plain(line) == len(line) {
		return line
	}
	var b strings.Builder
	column := 0
	show := func(s string) {
		s = visible(s)
		b.WriteString(s)
		column += width(s)
	}
	for line != "" {
		i := strings.IndexAny(line, "\t\x1b\u0090\u0098\u009b\u009c\u009d\u009e\u009f")
		if i < 0 {
			show(line)
			break
		}
		// A mark that stood behind a sequence is shown as one on nothing.
		show(line[:i])
		if line = line[i:]; line[0] == '\t' {
			n := tabStop - column%tabStop
			b.WriteString("        "[:n])
			line, column = line[1:], column+n
			continue
		}
		line = line[sequence(line):]
	}
	return b.String()
}

// sequence returns how long the escape sequence is that s begins with, with ESC
// or as one character.
func sequence(s string) int {
	kind, n := rune(0), 0
	if s[0] == 0x1b {
		if len(s) == 1 {
			return 1
		}
		kind, n = rune(s[1])+0x40, 2
	} else {
		kind, n = utf8.DecodeRuneInString(s)
	}
	switch kind {
	case 0x9b: // CSI, with parameters and intermediates, then one final byte
		for n < len(s) && s[n] >= 0x20 && s[n] < 0x40 {
			n++
		}
		if n < len(s) && s[n] >= 0x40 && s[n] <= 0x7e {
			n++
		}
		return n
	case 0x90, 0x98, 0x9d, 0x9e, 0x9f: // DCS, SOS, OSC, PM, APC: a text until ST, or BEL as most write it
		for n < len(s) {
			switch {
			case s[n] == 0x07, s[n] == 0x18, s[n] == 0x1a: // BEL; CAN and SUB give up
				return n + 1
			case strings.HasPrefix(s[n:], "\u009c"):
				return n + 2
			case strings.HasPrefix(s[n:], "\x1b\\"):
				return n + 2
			case s[n] == 0x1b: // the next sequence
				return n
			}
			n++
		}
		return n
	}
	if s[0] != 0x1b {
		return n // ST by itself
	}
	n = 1
	for n < len(s) && s[n] >= 0x20 && s[n] < 0x30 { // intermediates
		n++
	}
	if n < len(s) && s[n] >= 0x30 && s[n] <= 0x7e {
		n++
	}
	return n
}
