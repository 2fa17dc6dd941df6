package compare

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// place returns the only place that the allowance is for, if it is but one.
func (a *allowance) place() (p Place, ok bool) {
	if a.when != nil {
		return p, false
	}
	switch a.key {
	case "status":
		return Place{Kind: InStatus}, true
	case "interim":
		return Place{InStatus, "interim"}, true
	case "end":
		return Place{Kind: InEnd}, true
	case "close":
		return Place{InClose, a.text}, a.text != ""
	case "headers", "cookies", "fields":
		name, ok := a.name.fixed()
		return Place{named[a.key], name}, ok
	case "json", "unordered":
		name, ok := a.path.fixed()
		return Place{pathed[a.key], name}, ok
	case "lines":
		if a.lines.word > 0 {
			return Place{InText, a.lines.String()}, true
		}
	}
	return p, false
}

// wholeBody is the value of "body" that allows a difference of the body as a
// whole only, such as of one that is too large to say where it differs.
const wholeBody = "whole"

var (
	named  = map[string]Kind{"headers": InHeader, "cookies": InCookie, "fields": InForm}
	pathed = map[string]Kind{"json": InJSON, "unordered": InOrder, "tolerance": InJSON}
)

// precise reports that route and place are not enough to decide.
func (a *allowance) precise() bool {
	return a.when != nil || a.key == "tolerance" || a.path.indexed()
}

// match reports whether the allowance is for a difference.
func (a *allowance) match(d *Difference) bool {
	if a.when != nil && !a.when(d) {
		return false
	}
	switch a.key {
	case "headers", "cookies", "fields":
		return d.Place.Kind == named[a.key] && a.name.match(d.Place.Name)
	case "json", "unordered":
		return d.Place.Kind == pathed[a.key] && a.path.match(d.path(a.path))
	case "tolerance":
		return d.Place.Kind == InJSON && a.limit.allows(d) && a.path.match(d.path(a.path))
	case "body":
		switch d.Place.Kind {
		case InBody:
			return true
		case InJSON, InOrder, InForm, InText, InBytes:
			return a.text != wholeBody
		}
		return false
	case "close":
		return d.Place.Kind == InClose && (a.text == "" || a.text == d.Place.Name)
	case "lines":
		line, err := readLines(strings.TrimPrefix(d.Place.Name, "line "))
		return err == nil && d.Place.Kind == InText && a.lines.holds(line)
	case "bytes":
		at, err := readBytes(d.Place.Name)
		return err == nil && d.Place.Kind == InBytes && a.bytes.holds(at)
	}
	place, ok := a.place()
	return ok && place == d.Place
}

// path returns where the difference is, as precisely as the pattern asks.
func (d *Difference) path(pattern jsonPath) jsonPath {
	text := d.Place.Name
	if d.Path != "" && pattern.indexed() {
		text = d.Path
	}
	path, err := readPath(text)
	if err != nil {
		return jsonPath{{kind: below}} // which nothing but below matches
	}
	return path
}

// lineRange is lines of a text, both ends included, or a word of one.
type lineRange struct{ first, last, word int }

// readLines reads "3", "40-45" or "3 word 2".
func readLines(text string) (r lineRange, err error) {
	wrong := fmt.Errorf("%q: want a line, lines such as 40-45, or a word such as \"3 word 2\", counted from 1", text)
	lines, word, isWord := strings.Cut(text, " word ")
	if isWord {
		if r.word, err = strconv.Atoi(word); err != nil || r.word < 1 {
			return r, wrong
		}
	}
	first, last, several := strings.Cut(lines, "-")
	if !several {
		last = first
	}
	if r.first, err = strconv.Atoi(first); err != nil || r.first < 1 {
		return r, wrong
	}
	if r.last, err = strconv.Atoi(last); err != nil || r.last < r.first || several && isWord {
		return r, wrong
	}
	return r, nil
}

// holds reports whether lines, or a word, lie in the range. A line holds its
// words.
func (r lineRange) holds(other lineRange) bool {
	return other.first >= r.first && other.last <= r.last && (r.word == 0 || r.word == other.word)
}

// String returns it as a Place names it.
func (r lineRange) String() string {
	text := "line " + strconv.Itoa(r.first)
	if r.word > 0 {
		text += " word " + strconv.Itoa(r.word)
	}
	return text
}

// byteRange is bytes from 0, the end not included; end is -1 where there is
// none.
type byteRange struct{ start, end int64 }

// readBytes reads "16-20" or "16-".
func readBytes(text string) (r byteRange, err error) {
	wrong := fmt.Errorf("%q: want bytes such as 16-20 or 16-, counted from 0, without the last one", text)
	start, end, ok := strings.Cut(text, "-")
	if r.start, err = strconv.ParseInt(start, 10, 64); err != nil || r.start < 0 || !ok {
		return r, wrong
	}
	if end == "" {
		r.end = -1
		return r, nil
	}
	if r.end, err = strconv.ParseInt(end, 10, 64); err != nil || r.end <= r.start {
		return r, wrong
	}
	return r, nil
}

func (r byteRange) holds(other byteRange) bool {
	return other.start >= r.start && (r.end < 0 || other.end >= 0 && other.end <= r.end)
}

// tolerance is by how much numbers may differ.
type tolerance struct {
	by      *big.Rat
	percent bool // of production's number
}

// readTolerance reads "0.01" or "1%".
func readTolerance(text string) (t tolerance, err error) {
	number, percent := strings.CutSuffix(text, "%")
	by, ok := readNumber(number)
	if !ok || by.Sign() <= 0 {
		return t, fmt.Errorf("%q: want a number such as 0.01, or a percentage such as \"1%%\", of more than 0", text)
	}
	if percent {
		by.Quo(by, big.NewRat(100, 1))
	}
	return tolerance{by, percent}, nil
}

// allows reports whether both sides have numbers, near enough to each other.
// It computes exactly: 12.01 and 12 differ by 0.01, and not by a little more.
func (t tolerance) allows(d *Difference) bool {
	p, ok := readNumber(string(d.Production))
	a, isToo := readNumber(string(d.Application))
	if !ok || !isToo {
		return false
	}
	limit := t.by
	if t.percent {
		limit = new(big.Rat).Mul(t.by, new(big.Rat).Abs(p))
	}
	return a.Sub(a, p).Abs(a).Cmp(limit) <= 0
}

// readNumber reads a number as JSON writes it. One of more than 200 digits or
// with an exponent of more than three is none here: it would fill the memory.
func readNumber(text string) (*big.Rat, bool) {
	digits, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	if len(digits) > 200 || len(exponent) > 4 || strings.Trim(text, "+-.0123456789eE") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}
