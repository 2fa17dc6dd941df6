package compare

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

func answer(text string, complete bool) *Answer {
	a := &Answer{Complete: complete}
	a.Add([]byte(text))
	return a
}

func TestAnswers(t *testing.T) {
	whole := func(s string) *Answer { return answer(s, true) }
	part := func(s string) *Answer { return answer(s, false) }
	head := strings.Repeat("h", HeadLimit)
	for _, tt := range []struct {
		name                    string
		production, application *Answer
		want                    Verdict
		difference              string
	}{
		{"equal", whole("hello"), whole("hello"), Identical, ""},
		{"equal at the limit", whole(head), whole(head), Identical, ""},
		{"equal over the limit", whole(head + "x"), whole(head + "x"), Identical, ""},
		{"both empty", whole(""), whole(""), Identical, ""},
		{"both empty, no end", whole(""), part(""), Identical, ""},
		{"a byte", whole("price: 17 coins"), whole("price: 18 coins"), Different,
			`line 1 word 3: "17" → "18"`},
		{"a byte of what is no text", whole("\x00price: 17 coins"), whole("\x00price: 18 coins"), Different,
			`at byte 9: production "\x00price: 17 coins", application "\x00price: 18 coins"`},
		{"the first byte", whole("a"), whole("b"), Different, `line 1 word 1: "a" → "b"`},
		{"excerpts are cut", whole("\x00" + strings.Repeat("0", 99) + "a" + strings.Repeat("1", 100)), whole("\x00" + strings.Repeat("0", 99) + "b"), Different,
			`at byte 100: production "0000000000000000a1111111111111111111111111111111", application "0000000000000000b"`},
		{"shorter", whole("hello"), whole("hel"), Different, `line 1 word 1: "hello" → "hel"`},
		{"longer", whole("hel"), whole("hello"), Different, `line 1 word 1: "hel" → "hello"`},
		{"empty", whole("a"), whole(""), Different, `line 1: production "a", application has none`},
		{"more than nothing", whole(""), whole("a"), Different, `line 1: production has none, application "a"`},
		{"beyond the head", whole(head + "ab"), whole(head + "ac"), Different,
			"at or after byte 65536: production sent 65538 bytes, the application 65538"},
		{"longer beyond the head", whole(head + "a"), whole(head + "ab"), Different,
			"at or after byte 65536: production sent 65537 bytes, the application 65538"},
		{"ends with the head", whole(head + "a"), whole(head), Different,
			`at byte 65536: production "hhhhhhhhhhhhhhhh", application "hhhhhhhhhhhhhhhh"`},
		{"nothing came", whole("hello"), part(""), Missing, ""},
		{"no answer", whole("hello"), nil, Missing, ""},
		{"cut", whole("hello"), part("he"), Different, `at byte 2: production "hello", application "he", cut short`},
		{"all but the end", whole("hello"), part("hello"), Different, `at byte 5: production "hello", application "hello", cut short`},
		{"production cut", part("hello"), whole("hello"), Uncompared, ""},
		{"production unknown", nil, whole("hello"), Uncompared, ""},
		{"neither", nil, nil, Uncompared, ""},
		{"a long word shows where it differs", whole(strings.Repeat("0", 300) + "a"), whole(strings.Repeat("0", 300) + "b"), Different,
			`line 1 word 1: "…00000000000000000000a" → "…00000000000000000000b"`},
	} {
		got := Answers(tt.production, tt.application, Question{}, nil)
		text := ""
		if got.First() != nil {
			text = got.First().String()
		}
		if got.Verdict != tt.want || text != tt.difference {
			t.Errorf("%s: %v, %s\nwant %v, %s", tt.name, got.Verdict, text, tt.want, tt.difference)
		}
	}
}

// An answer made by hand, without Add, compares as well.
func TestAnswerLiteral(t *testing.T) {
	a := &Answer{Head: []byte("hi"), Len: 2, Complete: true}
	if got := Answers(a, answer("hi", true), Question{}, nil); got.Verdict != Identical {
		t.Errorf("%v", got.Verdict)
	}
	a.Add([]byte("!"))
	a.Reset()
	if a.Len != 0 || len(a.Head) != 0 || a.Complete {
		t.Errorf("after Reset: %+v", a)
	}
}

// What is cut off again must not count, also where the answer then grows past
// Head.
func TestCut(t *testing.T) {
	head := strings.Repeat("h", HeadLimit)
	a := answer(head, true)
	if tail, ok := a.Cut(3); !ok || string(tail) != "hhh" || a.Len != HeadLimit-3 {
		t.Errorf("Cut = %q, %v; %d bytes are left", tail, ok, a.Len)
	}
	a.Add([]byte("hhhabc"))
	if got := Answers(answer(head+"abc", true), a, Question{}, nil); got.Verdict != Identical {
		t.Errorf("grown again: %v", got.First())
	}
	for _, n := range []int64{-1, 1, HeadLimit + 4} {
		if tail, ok := a.Cut(n); ok {
			t.Errorf("Cut(%d) of an answer with bytes beyond Head = %q", n, tail)
		}
	}
	if _, ok := answer("ab", true).Cut(3); ok {
		t.Error("more was cut off than there is")
	}
}

// A Difference outlives the answers: their memory goes to others.
func TestDifferenceOwnsItsBytes(t *testing.T) {
	p, a := answer("good", true), answer("evil", true)
	got := Answers(p, a, Question{}, nil)
	d := got.First()
	for _, x := range []*Answer{p, a} {
		clear(x.Head)
		x.Reset()
	}
	if string(d.Production) != "good" || string(d.Application) != "evil" {
		t.Errorf("%v", d)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(uint64(1), uint32(10), uint32(11))
	f.Add(uint64(2), uint32(HeadLimit), uint32(HeadLimit-1))
	f.Add(uint64(3), uint32(HeadLimit+1), uint32(HeadLimit))
	f.Add(uint64(4), uint32(3*HeadLimit), uint32(2*HeadLimit))
	f.Fuzz(func(t *testing.T, seed uint64, size, change uint32) {
		random := rand.New(rand.NewPCG(seed, 0))
		text := make([]byte, size%(4*HeadLimit))
		for i := range text {
			text[i] = byte(random.Uint32())
		}
		whole := answer(string(text), true)
		pieces := &Answer{Complete: true}
		for rest := text; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			pieces.Add(rest[:n])
			rest = rest[n:]
		}
		if pieces.Len != int64(len(text)) || !bytes.Equal(pieces.Head, text[:min(len(text), HeadLimit)]) {
			t.Fatalf("%d bytes became %d, head %d", len(text), pieces.Len, len(pieces.Head))
		}
		if got := Answers(whole, pieces, Question{}, nil); got.Verdict != Identical {
			t.Fatalf("in pieces: %v", got.First())
		}
		if int(change) < len(text) {
			text[change] ^= 1
			other := answer(string(text), true)
			got := Answers(whole, other, Question{}, nil)
			d, at := got.First(), int64(change)
			if got.Verdict != Different || d.Beyond != (at >= HeadLimit) || !d.Beyond && d.Offset != at || d.Offset > at || d.Beyond && d.Until <= at {
				t.Fatalf("changed at %d of %d: %v, %v", change, len(text), got.Verdict, got.First())
			}
			other.Reset()
		}
		whole.Reset()
		pieces.Reset()
	})
}

// An answer that is reset and filled again, over the edges of all rooms.
func TestReuse(t *testing.T) {
	var a, b Answer
	for _, size := range []int{0, 1, 1023, 1024, 1025, 8192, 8193, HeadLimit, HeadLimit + 1, 5, 3 * HeadLimit, 2} {
		text := bytes.Repeat([]byte{byte(size)}, size)
		for _, x := range []*Answer{&a, &b} {
			x.Reset()
			x.Add(text)
			x.Complete = true
		}
		if got := Answers(&a, &b, Question{}, nil); got.Verdict != Identical {
			t.Errorf("%d bytes: %v", size, got.First())
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	for _, bb := range []struct {
		name string
		size int
	}{{"512", 512}, {"20K", 20 << 10}, {"1M", 1 << 20}} {
		b.Run(bb.name, func(b *testing.B) {
			text := make([]byte, bb.size)
			var p, a Answer
			b.SetBytes(int64(bb.size))
			b.ReportAllocs()
			for b.Loop() {
				p.Reset()
				a.Reset()
				for at := 0; at < len(text); at += 1460 {
					p.Add(text[at:min(at+1460, len(text))])
				}
				a.Add(text)
				p.Complete, a.Complete = true, true
				if Answers(&p, &a, Question{}, nil).Verdict != Identical {
					b.Fatal("not identical")
				}
			}
		})
	}
}

func TestExtra(t *testing.T) {
	d := Extra(answer("by the way", true))
	if want := `at byte 0: production "", application "by the way"`; d.String() != want || d.ProductionLen != 0 || d.ApplicationLen != 10 {
		t.Errorf("%v (%+v), want %s", d, d, want)
	}
	if d := Extra(answer("", true)); d.ApplicationLen != 0 {
		t.Errorf("of an empty one: %+v", d)
	}
}
