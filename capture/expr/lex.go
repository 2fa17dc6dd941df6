package expr

import (
	"net/netip"
	"strconv"
	"strings"
)

// The scanner. Like libpcap's it takes the longest match and, between equally
// long ones, the first of: keyword, Ethernet address, number, IPv4 address or
// its beginning, IPv6 address, named constant, name. A name may hold dashes
// and dots, so "len-3" is one name and "len - 3" is a subtraction.

type kind uint8

const (
	kindEnd      kind = iota
	kindKeyword       // text is the keyword; && and || and ! come as and, or, not
	kindOperator      // text is the operator; == comes as =
	kindNumber        // value
	kindDotted        // 10.1, 10.1.2, 10.1.2.3
	kindIPv6
	kindMAC
	kindName
)

type token struct {
	kind   kind
	text   string
	value  uint32
	offset int
}

// is reports whether the token is the keyword or operator text.
func (t token) is(text string) bool {
	return (t.kind == kindKeyword || t.kind == kindOperator) && t.text == text
}

// maxText bounds an expression's length in bytes, and with it the depth of its
// tree and the size of its programs. 64 KiB of ports are some 10,000.
const maxText = 64 << 10

// scan splits an expression into tokens; the last one is kindEnd.
func scan(text string) ([]token, error) {
	if len(text) > maxText {
		return nil, &SyntaxError{Text: text, Offset: maxText, Msg: "the expression is longer than 64 KiB"}
	}
	var tokens []token
	for at := 0; ; {
		for at < len(text) && strings.IndexByte(" \t\r\n", text[at]) >= 0 {
			at++
		}
		if at == len(text) {
			return append(tokens, token{kind: kindEnd, offset: at}), nil
		}
		t, size, msg := scanOne(text[at:])
		if msg != "" {
			return nil, &SyntaxError{Text: text, Offset: at, Msg: msg}
		}
		t.offset = at
		tokens = append(tokens, t)
		at += size
	}
}

// scanOne returns the token that s begins with and its length, or what is
// wrong.
func scanOne(s string) (token, int, string) {
	if s[0] == '\\' {
		// A backslash makes a name of what would be a keyword.
		end := strings.IndexAny(s, " !()\n\t")
		if end < 0 {
			end = len(s)
		}
		if end == 1 {
			return token{}, 0, "a backslash without a name"
		}
		return token{kind: kindName, text: s[1:end]}, end, ""
	}
	name := nameLength(s)
	v6 := ipv6Length(s)
	mac := macLength(s)
	if mac > 0 && mac >= name && mac >= v6 {
		return token{kind: kindMAC, text: s[:mac]}, mac, ""
	}
	if v6 > name {
		return token{kind: kindIPv6, text: s[:v6]}, v6, ""
	}
	if name > 0 {
		return scanWord(s[:name])
	}
	for _, op := range operators {
		if strings.HasPrefix(s, op.text) {
			k := kindOperator
			if op.keyword {
				k = kindKeyword
			}
			return token{kind: k, text: op.as}, len(op.text), ""
		}
	}
	if s[0] == '$' {
		return token{}, 0, "ARCnet addresses are not supported"
	}
	return token{}, 0, "this character has no meaning here"
}

// operators, the longer ones first.
var operators = []struct {
	text, as string
	keyword  bool
}{
	{"&&", "and", true}, {"||", "or", true},
	{">=", ">=", false}, {"<=", "<=", false}, {"!=", "!=", false}, {"==", "=", false},
	{"<<", "<<", false}, {">>", ">>", false},
	{"!", "not", true},
	{"+", "+", false}, {"-", "-", false}, {"*", "*", false}, {"/", "/", false}, {"%", "%", false},
	{":", ":", false}, {"[", "[", false}, {"]", "]", false}, {"<", "<", false}, {">", ">", false},
	{"(", "(", false}, {")", ")", false}, {"&", "&", false}, {"|", "|", false}, {"^", "^", false},
	{"=", "=", false},
}

// scanWord says what a word of letters, digits, dashes and dots is.
func scanWord(word string) (token, int, string) {
	size := len(word)
	if _, ok := keywords[word]; ok {
		return token{kind: kindKeyword, text: word}, size, ""
	}
	if digits(word) {
		value, err := strconv.ParseUint(word, 0, 32)
		if err != nil {
			return token{}, 0, "this is not a number below 2^32 (a leading 0 makes it octal, 0x hexadecimal)"
		}
		return token{kind: kindNumber, text: word, value: uint32(value)}, size, ""
	}
	if parts := strings.Split(word, "."); len(parts) >= 2 && len(parts) <= 4 {
		dotted := true
		for _, p := range parts {
			dotted = dotted && digits(p)
		}
		if dotted {
			return token{kind: kindDotted, text: word}, size, ""
		}
	}
	if value, ok := constants[word]; ok {
		return token{kind: kindNumber, text: word, value: value}, size, ""
	}
	return token{kind: kindName, text: word}, size, ""
}

// digits reports whether s is a decimal, octal or hexadecimal number.
func digits(s string) bool {
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		for _, c := range []byte(s[2:]) {
			if !isHex(c) {
				return false
			}
		}
		return true
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// nameLength returns the length of the word at the beginning of s, 0 if there
// is none: a letter or digit first, no dash or underscore last.
func nameLength(s string) int {
	if !isAlnum(s[0]) {
		return 0
	}
	n := 1
	for i := 1; i < len(s); i++ {
		c := s[i]
		if isAlnum(c) || c == '.' {
			n = i + 1
		} else if c != '-' && c != '_' {
			break
		}
	}
	return n
}

// ipv6Length returns the length of the longest IPv6 address that s begins
// with, or 0.
func ipv6Length(s string) int {
	end, colons := 0, 0
	for end < len(s) && (isHex(s[end]) || s[end] == ':' || s[end] == '.') {
		if s[end] == ':' {
			colons++
		}
		end++
	}
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
	if colons < 2 {
		return 0
	}
	for n := min(end, longest); n >= 2; n-- {
		if a, err := netip.ParseAddr(s[:n]); err == nil && a.Is6() {
			return n
		}
	}
	return 0
}

// macLength returns the length of the longest Ethernet address that s begins
// with, or 0: six numbers of one or two hexadecimal digits parted by colons,
// dashes or dots, three of four digits parted by dots, or twelve digits.
func macLength(s string) int {
	longest := 0
	for _, form := range []struct {
		groups, least, most int
		separator           string
	}{{6, 1, 2, ":"}, {6, 1, 2, "-"}, {6, 1, 2, "."}, {3, 4, 4, "."}, {3, 4, 4, ""}} {
		at := 0
		ok := true
		for g := 0; g < form.groups && ok; g++ {
			if g > 0 {
				if !strings.HasPrefix(s[at:], form.separator) {
					ok = false
					break
				}
				at += len(form.separator)
			}
			n := 0
			for n < form.most && at+n < len(s) && isHex(s[at+n]) {
				n++
			}
			ok = n >= form.least
			at += n
		}
		if ok && at > longest {
			longest = at
		}
	}
	return longest
}
