package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Answers of the kinds that APIs give, and documents that are hard to read.
var jsonSeeds = []string{
	`{"id":42,"name":"Ada","email":null,"roles":["admin","dev"],"created_at":"2026-11-22T10:20:30.123Z","balance":1234.50}`,
	`{"data":[{"id":"1","type":"articles","attributes":{"title":"JSON \u2013 API","words":9007199254740993},"links":{"self":"https:\/\/x.test\/1"}}],"meta":{"total":1}}`,
	`{"items":[{"sku":"a","price":10.00,"tags":["x","y"]},{"sku":"b","price":12,"tags":[]}],"next":null,"took":3}`,
	`[{"x":1,"y":[1,2,[3]]},{"x":2,"y":[2,1,[3]]},{"x":1,"y":{}},1,1,"1",true,null]`,
	`{"errors":[{"code":"E42","detail":"not found \ud83d\ude00"}],"a b":{"":0}}`,
	`{"a":1,"b":2,"a":3}`, `[1,1,2,1]`, `[[1,2],[2,1]]`, `[[],[[]],{},[{}]]`, ` "x" `, `-0.0e-10`, `1E400`, `[1e99999999999999999999]`,
	`["\ud800","\udc00\ud800","\uD83D\uDE00"]`, "\"\xff\"", "[\n\t1 ,\r2 ]", `{"a":01}`, `[1,]`, `"\q"`, "",
}

// compared is what json notes.
func compared(a, b []byte) (*found, bool) {
	f := new(found)
	ok := f.json(a, b)
	return f, ok
}

func FuzzJSON(f *testing.F) {
	for i, a := range jsonSeeds {
		f.Add([]byte(a), []byte(jsonSeeds[(i+1)%len(jsonSeeds)]))
		f.Add([]byte(a), []byte(strings.Replace(a, "1", "2.0", 1)))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		got, ok := compared(a, b)
		if depth(a) <= maxJSONDepth && depth(b) <= maxJSONDepth && ok != (json.Valid(a) && json.Valid(b)) {
			t.Fatalf("json: %v, encoding/json: %v, %v", ok, json.Valid(a), json.Valid(b))
		}
		if !ok {
			if noted(got) != "" {
				t.Fatalf("noted %s", noted(got))
			}
			return
		}
		checkJSON(t, a, b)
	})
}

// FuzzJSONChanged compares documents with what they become by a few changes,
// as random bytes seldom are two documents of a kind.
func FuzzJSONChanged(f *testing.F) {
	for i, a := range jsonSeeds {
		f.Add([]byte(a), uint64(i), byte(i))
	}
	f.Add(shop(3, 1), uint64(7), byte(3))
	f.Fuzz(func(t *testing.T, a []byte, seed uint64, changes byte) {
		if len(a) > 10_000 || !json.Valid(a) || depth(a) > maxJSONDepth {
			return
		}
		r := rand.New(rand.NewPCG(seed, 0))
		v := decoded(a)
		if got, ok := compared(a, appendShuffled(nil, v, r)); !hasTwice(a) && !strings.ContainsRune(fmt.Sprint(v), '\ufffd') &&
			(!ok || len(got.differences) > 0) {
			t.Fatalf("written otherwise: %s", noted(got))
		}
		for range changes % 5 {
			v = changed(v, r)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if r.IntN(2) == 0 {
			b = appendShuffled(nil, v, r)
		}
		checkJSON(t, a, b)
	})
}

// checkJSON checks what holds for any two documents.
func checkJSON(t *testing.T, a, b []byte) {
	t.Helper()
	for _, same := range [][]byte{a, b} {
		if got, ok := compared(same, bytes.Clone(same)); !ok || noted(got) != "" {
			t.Fatalf("a document with itself: %v, %s", ok, noted(got))
		}
	}
	forth, ok := compared(a, b)
	back, also := compared(b, a)
	if !ok || !also {
		t.Fatalf("json: %v, back %v", ok, also)
	}
	for i := range back.differences {
		d := &back.differences[i]
		d.Production, d.Application = d.Application, d.Production
	}
	values := func(f *found) (lines []string) {
		for _, d := range f.differences {
			lines = append(lines, fmt.Sprintf("%v %q %v %q %v", d.Place, d.Production, d.Production == nil, d.Application, d.Application == nil))
		}
		slices.Sort(lines)
		return lines
	}
	if len(forth.differences)+forth.more != len(back.differences)+back.more ||
		forth.more == 0 && !slices.Equal(values(forth), values(back)) {
		t.Fatalf("forth\n%s\nback, sides changed\n%s", noted(forth), noted(back))
	}
	if forth.more == 0 && !reflect.DeepEqual(forth.excused, back.excused) {
		t.Fatalf("forth %v, back %v", forth.excused, back.excused)
	}
	if equal, ok := oracle(a, b); ok && equal != (len(forth.differences) == 0) {
		t.Fatalf("equal as decoded: %v, noted\n%s", equal, noted(forth))
	}
}

// oracle reports whether two documents are the same as encoding/json decodes
// them. It is not ok where that loses something: a key that an object has
// twice, half of a surrogate pair, an exponent that fills the memory.
func oracle(a, b []byte) (equal, ok bool) {
	if hasTwice(a) || hasTwice(b) {
		return false, false
	}
	ok = true
	var plain func(v any) any
	plain = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				ok = ok && !strings.ContainsRune(k, '\ufffd')
				v[k] = plain(e)
			}
		case []any:
			for i := range v {
				v[i] = plain(v[i])
			}
		case string:
			ok = ok && !strings.ContainsRune(v, '\ufffd')
		case json.Number:
			if i := strings.IndexAny(string(v), "eE"); i >= 0 && len(v)-i > 5 {
				ok = false
				return v
			}
			n, _ := new(big.Rat).SetString(string(v))
			return "number " + n.String() // and no string of the document is a number
		}
		return v
	}
	return reflect.DeepEqual(plain(decoded(a)), plain(decoded(b))), ok
}

func decoded(text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

// hasTwice reports whether an object of the document has a key twice.
func hasTwice(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	type level struct {
		keys  map[string]bool // nil: a list
		value bool            // what comes next is a value
	}
	levels := []level{{}}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return false
		}
		now := &levels[len(levels)-1]
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				now.value = false
				levels = append(levels, level{keys: map[string]bool{}})
			case '[':
				now.value = false
				levels = append(levels, level{})
			default:
				levels = levels[:len(levels)-1]
			}
			continue
		case string:
			if now.keys != nil && !now.value {
				if now.keys[token] {
					return true
				}
				now.keys[token] = true
				now.value = true
				continue
			}
		}
		now.value = false
	}
}

// depth is how deep brackets lie in each other, those in strings too.
func depth(text []byte) (deepest int) {
	now := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			now++
			deepest = max(deepest, now)
		case ']', '}':
			now--
		}
	}
	return deepest
}

// appendShuffled writes a document with its keys in any order, any white space
// and any spelling.
func appendShuffled(out []byte, v any, r *rand.Rand) []byte {
	space := func() {
		for r.IntN(4) == 0 {
			out = append(out, " \t\r\n"[r.IntN(4)])
		}
	}
	space()
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		out = append(out, '{')
		for i, k := range keys {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendShuffled(out, k, r)
			out = append(out, ':')
			out = appendShuffled(out, v[k], r)
		}
		space()
		out = append(out, '}')
	case []any:
		out = append(out, '[')
		for i, e := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendShuffled(out, e, r)
		}
		space()
		out = append(out, ']')
	case string:
		out = append(out, '"')
		for _, c := range v {
			if c < ' ' || c == '"' || c == '\\' || c < 0x10000 && r.IntN(4) == 0 {
				out = fmt.Appendf(out, `\u%04x`, c)
			} else {
				out = append(out, string(c)...)
			}
		}
		out = append(out, '"')
	case json.Number:
		text := string(v)
		if !strings.ContainsAny(text, "eE") {
			switch r.IntN(3) {
			case 0:
				text += "E+0"
			case 1:
				if !strings.Contains(text, ".") {
					text += ".0"
				}
				text += "00"
			}
		}
		out = append(out, text...)
	default:
		text, _ := json.Marshal(v)
		out = append(out, text...)
	}
	space()
	return out
}

// changed returns a value with one change in it: another scalar, a key or an
// element less or more, a list in another order.
func changed(v any, r *rand.Rand) any {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		switch choice := r.IntN(10); {
		case choice == 0:
			v[fmt.Sprint("new", r.IntN(3))] = json.Number("7")
		case len(keys) == 0:
		case choice == 1:
			delete(v, keys[r.IntN(len(keys))])
		default:
			k := keys[r.IntN(len(keys))]
			v[k] = changed(v[k], r)
		}
		return v
	case []any:
		switch choice := r.IntN(10); {
		case choice == 0:
			return slices.Insert(v, r.IntN(len(v)+1), any(json.Number(fmt.Sprint(r.IntN(3)))))
		case len(v) == 0:
		case choice == 1:
			i := r.IntN(len(v))
			return slices.Delete(v, i, i+1)
		case choice <= 4:
			r.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
		case choice == 5:
			return append(v, decoded(appendShuffled(nil, v[r.IntN(len(v))], r)))
		default:
			i := r.IntN(len(v))
			v[i] = changed(v[i], r)
		}
		return v
	case string:
		return v + "x"
	case json.Number:
		return json.Number(fmt.Sprint(r.IntN(4)))
	}
	return []any{any("new"), true, nil}[r.IntN(3)]
}
