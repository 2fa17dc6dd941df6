package expr

import (
	"fmt"
	"strings"
)

// SyntaxError is what Parse returns: an expression that is wrong, or a
// construct of tcpdump's language that this package does not have.
type SyntaxError struct {
	Text   string // the whole expression
	Offset int    // of the place in Text, in bytes, from 0; len(Text) is its end
	Msg    string // what is wrong there
}

// Error names the place by its column, from 1, and quotes what stands there.
func (e *SyntaxError) Error() string {
	if e.Offset >= len(e.Text) {
		return fmt.Sprintf("filter: at its end: %s", e.Msg)
	}
	return fmt.Sprintf("filter: column %d, near %q: %s", e.Offset+1, near(e.Text, e.Offset), e.Msg)
}

// Hint shows the expression with a caret below the place.
func (e *SyntaxError) Hint() string { return caret(e.Text, e.Offset) }

// LinkError says that an expression is fine but cannot be asked of packets of
// one link type, such as vlan of a capture without Ethernet headers, or that
// the link type itself is unknown here.
type LinkError struct {
	Link   uint16 // LINKTYPE_ number
	Text   string // the whole expression
	Offset int    // of the primitive in Text; -1 if the link type is unknown
	Msg    string
}

// Error names the link type and, where one is to blame, the primitive's column.
func (e *LinkError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("filter: link type %d: %s", e.Link, e.Msg)
	}
	return fmt.Sprintf("filter: link type %d: column %d, near %q: %s",
		e.Link, e.Offset+1, near(e.Text, e.Offset), e.Msg)
}

// Hint shows the primitive, or which link types are known.
func (e *LinkError) Hint() string {
	if e.Offset < 0 {
		return "known link types: 0 (null), 1 (Ethernet), 12, 14 and 101 (raw IP), 108 (loop), " +
			"113 and 276 (Linux cooked), 228 (IPv4), 229 (IPv6)"
	}
	return caret(e.Text, e.Offset)
}

// near returns the word that begins at offset, cut to what fits a message.
func near(text string, offset int) string {
	word := text[offset:]
	if end := strings.IndexAny(word, " \t\r\n"); end > 0 {
		word = word[:end]
	}
	const most = 40
	if len(word) > most {
		word = word[:most]
	}
	return word
}

// caret returns the expression, or the part around offset, and below it a
// caret. White space that would move the caret becomes blanks.
func caret(text string, offset int) string {
	const around = 60
	offset = min(offset, len(text))
	from, to := max(0, offset-around), min(len(text), offset+around)
	line := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text[from:to])
	before := len([]rune(text[from:offset]))
	return line + "\n" + strings.Repeat(" ", before) + "^"
}
