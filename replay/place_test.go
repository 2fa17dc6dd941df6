package replay

import (
	"testing"
	"testing/synctest"

	"tcpsandbox/compare"
)

// A story says where the first answer that differs does.
func TestStoryPlace(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"the same", "x", ""},
		{"another body", "y", "$.total"},
	} {
		synctest.Test(t, func(t *testing.T) {
			judge := func(x *compare.Exchange) compare.Outcome {
				out := compare.ByBytes(x)
				if out.First != nil {
					out.First.Place, out.First.Path = compare.Place{}, tt.want
				}
				return out
			}
			w := newWorld(t, Config{Watch: &Watch{Memory: 1 << 20}, Judge: judge}, web(say(ok(tt.answer))), wire{})
			w.play(record().client(get(1)).answer(ok("x")).clientFIN().serverFIN())
			w.end()
			s, kept := w.Story(0)
			if !kept || s.Place != tt.want {
				t.Errorf("%s: it differs at %q (kept: %v), want %q", tt.name, s.Place, kept, tt.want)
			}
		})
	}
}
