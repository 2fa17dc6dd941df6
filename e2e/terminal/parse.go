package terminal

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parser tells characters from control sequences (ECMA-48):
//
//	            ┌─ [ ─▶ control ── final byte ──┐
//	ground ─ESC─┼─ ] P X ^ _ ─▶ command ── ST ──┼─▶ ground
//	            ├─ ( ) # % ─▶ charset ── one ───┤
//	            └─ anything else ───────────────┘
//
// Its memory is bounded whatever comes.
type parser struct {
	state   state
	buf     []byte // of the sequence, or of a character that is not whole
	opening byte   // of a command
}

type state int

const (
	ground state = iota
	escape
	charset
	control
	command
	commandEscape // an ESC in it, which may begin its end
)

const (
	sequenceMax = 256  // bytes; more is no control sequence
	commandMax  = 4096 // bytes that are kept of a command
	countMax    = 1000 // of a parameter; more than a screen has
)

// Write takes the output of a program, in any pieces. It never fails.
func (s *Screen) Write(data []byte) (int, error) {
	for _, b := range data {
		s.step(b)
	}
	return len(data), nil
}

func (s *Screen) step(b byte) {
	switch {
	case b == 0x18 || b == 0x1a: // CAN, SUB: forget the sequence
		s.state, s.buf = ground, s.buf[:0]
		return
	case s.state == command && b == 0x1b:
		s.state = commandEscape
		return
	case s.state == command && b == 0x07 && s.opening == ']', s.state == commandEscape && b == '\\':
		s.endCommand()
		return
	case s.state == commandEscape: // the ESC has cut the command off
		s.state, s.buf = escape, s.buf[:0]
	case b == 0x1b:
		s.state, s.buf = escape, s.buf[:0]
		return
	}
	switch s.state {
	case ground:
		s.character(b)
	case escape:
		s.afterEscape(b)
	case charset:
		s.state = ground
	case control:
		switch {
		case b < 0x20:
			s.controlCharacter(b)
		case b >= 0x40 && b <= 0x7e:
			s.state = ground
			s.sequence(string(s.buf), b)
			s.buf = s.buf[:0]
		case len(s.buf) == sequenceMax:
			s.notKnown("CSI %.20q…", s.buf)
			s.state, s.buf = ground, s.buf[:0]
		default:
			s.buf = append(s.buf, b)
		}
	case command:
		if len(s.buf) < commandMax {
			s.buf = append(s.buf, b)
		}
	}
}

// character takes a byte of text.
func (s *Screen) character(b byte) {
	if b < 0x20 || b == 0x7f {
		s.buf = s.buf[:0]
		s.controlCharacter(b)
		return
	}
	s.buf = append(s.buf, b)
	if !utf8.FullRune(s.buf) {
		return
	}
	for len(s.buf) > 0 && utf8.FullRune(s.buf) {
		r, n := utf8.DecodeRune(s.buf)
		s.buf = s.buf[n:]
		if r >= 0x80 && r < 0xa0 {
			s.notKnown("C1 control %#x", r)
			continue
		}
		s.put(r)
	}
}

func (s *Screen) controlCharacter(b byte) {
	switch b {
	case '\r':
		s.moveTo(0, s.cur.y)
	case '\n', '\v', '\f':
		s.lineFeed()
	case '\b':
		s.moveTo(s.cur.x-1, s.cur.y)
	case '\t':
		s.moveTo(s.cur.x/8*8+8, s.cur.y)
	case 0x0e, 0x0f: // another character set
		s.notKnown("control %#x", b)
	}
}

func (s *Screen) afterEscape(b byte) {
	s.state, s.buf = ground, s.buf[:0]
	switch b {
	case '[':
		s.state = control
	case ']', 'P', 'X', '^', '_':
		s.state, s.opening = command, b
	case '(', ')', '*', '+', '#', '%', ' ':
		s.state = charset
	case '7':
		s.saved[s.shown] = s.cur
	case '8':
		s.moveTo(s.saved[s.shown].x, s.saved[s.shown].y)
	case 'D':
		s.lineFeed()
	case 'E':
		s.cur.x = 0
		s.lineFeed()
	case 'M':
		s.reverseFeed()
	case 'c':
		cols, rows, reply := s.cols, s.rows, s.Reply
		*s = *NewScreen(cols, rows)
		s.Reply = reply
	case '\\', '=', '>': // the end of nothing; keypad
	default:
		s.notKnown("ESC %q", b)
	}
}

// endCommand answers what was asked with one; titles and the like change
// nothing on the screen.
func (s *Screen) endCommand() {
	text := string(s.buf)
	s.state, s.buf = ground, s.buf[:0]
	if s.opening != ']' {
		return
	}
	switch text { // colours of text and background: light on dark
	case "10;?":
		s.answer("\x1b]10;rgb:ffff/ffff/ffff\x1b\\")
	case "11;?":
		s.answer("\x1b]11;rgb:0000/0000/0000\x1b\\")
	}
}

func (s *Screen) answer(text string) {
	if s.Reply != nil {
		s.Reply(text)
	}
}

// sequence does what a control sequence says; its numbers count from 1.
func (s *Screen) sequence(params string, final byte) {
	if private := strings.TrimLeft(params, "0123456789;:"); private != "" {
		s.privateSequence(params, final)
		return
	}
	args := strings.FieldsFunc(params+";", func(r rune) bool { return r == ';' })
	arg := func(i, missing int) int {
		if parts := strings.Split(params, ";"); i < len(parts) && parts[i] != "" {
			n, err := strconv.Atoi(parts[i])
			if err != nil || n > countMax {
				return countMax
			}
			return n
		}
		return missing
	}
	n := max(arg(0, 1), 1)
	x, y := s.cur.x, s.cur.y
	switch final {
	case 'A':
		s.moveTo(x, y-n)
	case 'B', 'e':
		s.moveTo(x, y+n)
	case 'C', 'a':
		s.moveTo(x+n, y)
	case 'D':
		s.moveTo(x-n, y)
	case 'E':
		s.moveTo(0, y+n)
	case 'F':
		s.moveTo(0, y-n)
	case 'G', '`':
		s.moveTo(n-1, y)
	case 'd':
		s.moveTo(x, n-1)
	case 'H', 'f':
		s.moveTo(arg(1, 1)-1, arg(0, 1)-1)
	case 'J':
		s.eraseScreen(arg(0, 0))
	case 'K':
		s.eraseLine(arg(0, 0))
	case 'I':
		s.moveTo((x/8+n)*8, y)
	case 'Z':
		s.moveTo(((x+7)/8-n)*8, y)
	case 'X':
		s.erase(y, x, x+n)
	case '@':
		s.shift(n)
	case 'P':
		s.shift(-n)
	case 'S':
		s.scroll(s.top, n)
	case 'T':
		s.scroll(s.top, -n)
	case 'L', 'M':
		if final == 'M' {
			n = -n
		}
		if y >= s.top && y < s.bottom {
			s.scroll(y, -n)
			s.moveTo(0, y)
		}
	case 'r':
		s.setRegion(arg(0, 1), arg(1, s.rows))
	case 'm':
		s.coloured = s.coloured && len(args) > 0
		for _, a := range args {
			s.coloured = a != "0"
		}
	case 's':
		s.saved[s.shown] = s.cur
	case 'u':
		s.moveTo(s.saved[s.shown].x, s.saved[s.shown].y)
	case 'n':
		switch arg(0, 0) {
		case 5:
			s.answer("\x1b[0n")
		case 6:
			s.answer(fmt.Sprintf("\x1b[%d;%dR", y+1, x+1))
		}
	case 'c':
		s.answer("\x1b[?62;22c")
	case 't', 'R': // about the window; an answer of ours that the line discipline echoes
	default:
		s.notKnown("CSI %s %c", params, final)
	}
}

func (s *Screen) eraseScreen(what int) {
	for y := range s.rows {
		if what >= 2 || what == 0 && y > s.cur.y || what == 1 && y < s.cur.y {
			s.erase(y, 0, s.cols)
		}
	}
	if what < 2 {
		s.eraseLine(what)
	}
}

func (s *Screen) eraseLine(what int) {
	from, to := s.cur.x, s.cols
	if what > 0 {
		from = 0
	}
	if what == 1 {
		to = s.cur.x + 1
	}
	s.erase(s.cur.y, from, to)
}

// setRegion lets lines from to to scroll, both counted from 1.
func (s *Screen) setRegion(from, to int) {
	from, to = max(from, 1), min(to, s.rows)
	if to == 0 {
		to = s.rows
	}
	if from < to {
		s.top, s.bottom = from-1, to
		s.moveTo(0, 0)
	}
}

// privateSequence is one that ECMA-48 leaves to the terminal.
func (s *Screen) privateSequence(params string, final byte) {
	switch {
	case params == "?5" && final == 'W': // tab stops where they are already
		return
	case final == 'u', params[0] == '>' && final == 'm': // more keys, which this terminal has not
		return
	case final == 'p' && strings.HasSuffix(params, "$"): // is there such a mode? No
		s.answer("\x1b[" + strings.TrimSuffix(params, "$") + ";0$y")
		return
	}
	modes, private := strings.CutPrefix(params, "?")
	if !private || final != 'h' && final != 'l' {
		s.notKnown("CSI %s %c", params, final)
		return
	}
	for m := range strings.SplitSeq(modes, ";") {
		n, err := strconv.Atoi(m)
		if err != nil {
			s.notKnown("CSI %s %c", params, final)
			return
		}
		was := s.Mode(n)
		switch n {
		case modeAlternate:
			if final == 'h' != was {
				s.alternate(final == 'h')
			} else if !was { // leaving what was not entered moves the cursor all the same
				s.moveTo(s.saved[0].x, s.saved[0].y)
			}
		case 1, 12, modeAutowrap, modeCursor, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 2004, 2026:
		default:
			s.notKnown("mode %d", n)
		}
		s.setMode(n, final == 'h')
	}
}
