package expr

import "testing"

// FuzzParse: no text makes it panic, and what parses is written so that it
// parses to the same.
func FuzzParse(f *testing.F) {
	for _, text := range expressions {
		f.Add(text)
	}
	w := newWriter(1)
	for range 50 {
		f.Add(w.noise(w.expr(3)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := Parse(text)
		if err != nil {
			if filter != nil || err.Error() == "" || err.(*SyntaxError).Hint() == "" {
				t.Fatalf("%q: %v without a filter or a hint", text, err)
			}
			return
		}
		full := filter.String()
		again, err := Parse(full)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", text, full, err)
		}
		if again.String() != full {
			t.Fatalf("%q is written as %q, that as %q", text, full, again.String())
		}
		data := frame(etherIP, ipv4(6, transportHeader(1234, 80)))
		for _, k := range linkTypes {
			link := k.link
			a, err1 := filter.Match(data, len(data), link)
			b, err2 := again.Match(data, len(data), link)
			if a != b || (err1 == nil) != (err2 == nil) {
				t.Fatalf("%q on %d: %v, %v; as %q: %v, %v", text, link, a, err1, full, b, err2)
			}
		}
	})
}

// FuzzMatch: the kernel's program and Match agree on any bytes.
func FuzzMatch(f *testing.F) {
	for i, text := range expressions {
		f.Add(text, uint16(i%3), int16(i-20), frame(etherIP, ipv4(6, transportHeader(1234, 80))))
	}
	w := newWriter(2)
	for range 50 {
		f.Add(w.expr(3), uint16(w.IntN(8)), int16(w.IntN(4)-2), frame(etherIP6, ipv6(17, transportHeader(53, 53))))
	}
	f.Fuzz(func(t *testing.T, text string, pick uint16, tag int16, data []byte) {
		filter, err := Parse(text)
		if err != nil {
			return
		}
		link := links[int(pick)%len(links)]
		program, ok := filter.Kernel(link)
		if !ok {
			return
		}
		m := &machine{link: link, program: program}
		beside := max(int(tag), -1)
		got, ok, err := m.runTagged(data, beside)
		if err != nil {
			t.Fatalf("%q on %d: %v", text, link, err)
		}
		if want := filter.kernelMatch(data, link, beside); ok && got != want {
			t.Fatalf("%q on %d, tag %d, % x: program %v, Match %v", text, link, beside, data, got, want)
		}
		filter.MatchIP(data, len(data))
	})
}
