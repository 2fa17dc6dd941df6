package compare

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// sum stands for a value however it is written: with another order of keys,
// other escapes or another form of a number it is the same. Of values that
// differ it is the same once in 2^64, and nobody can tell for which, because
// the seed is random. Sums are kept, so that all sums of a document cost one
// pass over it.
//
// Of a key that an object has twice the order of its values makes no
// difference here.
func (d *jsonDoc) sum(at uint32) uint64 {
	if len(d.sums) == 0 {
		if cap(d.sums) < len(d.nodes) {
			d.sums = make([]uint64, len(d.nodes), cap(d.nodes))
		}
		d.sums = d.sums[:len(d.nodes)]
		clear(d.sums)
	}
	if d.sums[at] != 0 {
		return d.sums[at]
	}
	var sum uint64
	n := &d.nodes[at]
	switch n.kind {
	case jsonObject:
		for k := at + 1; k < n.next; {
			v := k + 1
			sum += mix(d.sum(k), d.sum(v))
			k = d.nodes[v].next
		}
	case jsonList:
		for v := at + 1; v < n.next; v = d.nodes[v].next {
			sum = mix(sum, d.sum(v))
		}
	case jsonString:
		sum = maphash.Bytes(seed, d.unquoted(at))
	case jsonNumber:
		sum = maphash.Bytes(seed, d.decimal(at))
	}
	d.sums[at] = mix(sum, uint64(n.kind)) | 1
	return d.sums[at]
}

// mixSeed makes mix as random as maphash is.
var mixSeed = maphash.String(seed, "mix") | 1

// mix returns a number that depends on both and on which of them is which.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^mixSeed, bits.RotateLeft64(b, 32)^0x9e3779b97f4a7c15)
	return hi ^ lo ^ bits.RotateLeft64(a, 17)
}

// sameScalar reports whether two scalars are the same value.
func sameScalar(a *jsonDoc, at uint32, b *jsonDoc, bt uint32) bool {
	kind := a.nodes[at].kind
	switch {
	case kind != b.nodes[bt].kind:
		return false
	case bytes.Equal(a.raw(at), b.raw(bt)):
		return true
	case kind == jsonString:
		escaped := a.nodes[at].escaped || b.nodes[bt].escaped
		return escaped && bytes.Equal(a.unquoted(at), b.unquoted(bt))
	case kind == jsonNumber:
		return bytes.Equal(a.decimal(at), b.decimal(bt))
	}
	return false
}

// unquoted returns a string's characters, valid until it or decimal is called
// again. Half of a surrogate pair stays what it is, in three bytes that are no
// UTF-8, so that two such halves do not become the same U+FFFD.
func (d *jsonDoc) unquoted(at uint32) []byte {
	raw := d.raw(at)
	raw = raw[1 : len(raw)-1]
	if d.nodes[at].escaped {
		d.room = appendUnescaped(d.room[:0], raw)
		return d.room
	}
	return raw
}

func appendUnescaped(room, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(room, raw...)
		}
		room = append(room, raw[:i]...)
		c := raw[i+1]
		raw = raw[i+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hexRune(raw)
			raw = raw[4:]
			if r>>10 == 0xd800>>10 && len(raw) >= 6 && raw[0] == '\\' && raw[1] == 'u' {
				if low := hexRune(raw[2:]); low>>10 == 0xdc00>>10 {
					r = (r-0xd800)<<10 + low - 0xdc00 + 0x10000
					raw = raw[6:]
				}
			}
			if 0xd800 <= r && r < 0xe000 {
				room = append(room, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
			} else {
				room = utf8.AppendRune(room, r)
			}
			continue
		}
		room = append(room, c)
	}
}

// hexRune reads four hexadecimal digits, which the parser has checked.
func hexRune(p []byte) (r rune) {
	for _, c := range p[:4] {
		r = r<<4 | hexDigit(c)
	}
	return r
}

// decimal returns a number as appendDecimal writes it, valid until it or
// unquoted is called again.
func (d *jsonDoc) decimal(at uint32) []byte {
	d.room = appendDecimal(d.room[:0], d.raw(at))
	return d.room
}

// appendDecimal appends a number in the one form that all spellings of its
// value have in common: its digits without noughts at either end, and the power
// of ten. Nothing is rounded. Nought, also a negative one, is "0".
func appendDecimal(out, number []byte) []byte {
	from := len(out)
	if number[0] == '-' {
		out, number = append(out, '-'), number[1:]
	}
	mantissa, exponent := number, []byte(nil)
	for i, c := range number {
		if c|' ' == 'e' {
			mantissa, exponent = number[:i], number[i+1:]
			break
		}
	}
	whole, fraction, _ := bytes.Cut(mantissa, []byte{'.'})
	digits := len(out)
	out = append(append(out, whole...), fraction...)
	power := -len(fraction)

	leading := 0
	for digits+leading < len(out) && out[digits+leading] == '0' {
		leading++
	}
	out = append(out[:digits], out[digits+leading:]...)
	if len(out) == digits {
		return append(out[:from], '0')
	}
	for out[len(out)-1] == '0' {
		out, power = out[:len(out)-1], power+1
	}
	out = append(out, 'e')
	return appendPower(out, exponent, power)
}

// appendPower appends an exponent, as it is written or empty, plus more. That it
// may be beyond an int64 nobody means, but it is JSON.
func appendPower(out, exponent []byte, more int) []byte {
	negative := len(exponent) > 0 && exponent[0] == '-'
	digits := bytes.TrimLeft(exponent, "+-0")
	if len(digits) <= 17 {
		e := 0
		for _, c := range digits {
			e = e*10 + int(c-'0')
		}
		if negative {
			e = -e
		}
		return strconv.AppendInt(out, int64(e+more), 10)
	}
	if negative { // -digits + more is -(digits - more)
		out, more = append(out, '-'), -more
	}
	from := len(out)
	out = append(append(out, '0'), digits...)
	for i := len(out) - 1; more != 0; i-- {
		sum := int(out[i]-'0') + more
		more = sum / 10
		if sum %= 10; sum < 0 {
			sum, more = sum+10, more-1
		}
		out[i] = byte(sum) + '0'
	}
	return append(out[:from], bytes.TrimLeft(out[from:], "0")...)
}
