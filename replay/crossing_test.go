package replay

import (
	"strings"
	"testing"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// What the application sends before a turn and production sent after it.
func TestCrossing(t *testing.T) {
	ms := time.Millisecond
	// Production's second event was on its way when "more" was sent.
	crossed := func() *tape {
		return record().client("sub\n").answer("ok\n").client("more\n").saw(3).answer("event 1\n").client("bye\n").saw(11).answer("bye\n").clientFIN().serverFIN()
	}
	const asked = "sub\nmore\nbye\n"
	big := strings.Repeat("B", compare.HeadLimit+10)
	stage(t, []scene{
		{
			name: "the same bytes, sooner", tape: crossed(),
			serve:    turns("sub\n", say("ok\nevent 1\n"), "more\n", "bye\n", say("bye\n")),
			received: []string{asked}, order: []string{"cscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "some of the bytes sooner", tape: crossed(),
			serve:    turns("sub\n", say("ok\neve"), "more\n", reply{after: ms, pieces: []string{"nt 1\n"}}, "bye\n", say("bye\n")),
			received: []string{asked}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "at the same time", tape: crossed(),
			serve:    turns("sub\n", say("ok\n"), "more\n", say("event 1\n"), "bye\n", say("bye\n")),
			received: []string{asked}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "a longer answer", tape: crossed(),
			serve:    turns("sub\n", say("ok\nsurplus\n"), "more\n", reply{after: ms, pieces: []string{"event 1\n"}}, "bye\n", say("bye\n")),
			received: []string{asked}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 2, compare.Different: 1}, first: "turn 1",
		},
		{
			name:     "a longer answer, which begins as the next one",
			tape:     crossed(),
			serve:    turns("sub\n", say("ok\nevents are many\n"), "more\n", reply{after: ms, pieces: []string{"event 1\n"}}, "bye\n", say("bye\n")),
			received: []string{asked}, order: []string{"cscscsfe"},
			release: causeCount{Exact: 4}, verdicts: verdictCount{compare.Identical: 2, compare.Different: 1}, first: "turn 1",
		},
		{
			name:     "across two turns",
			tape:     record().client("a\n").answer("A").client("b\n").saw(1).answer("BB").client("c\n").saw(2).answer("CC").client("d\n").saw(5).answer("D").clientFIN().serverFIN(),
			serve:    turns("a\n", say("ABBCC"), "b\nc\nd\n", say("D")),
			received: []string{"a\nb\nc\nd\n"},
			verdicts: verdictCount{compare.Identical: 4},
		},
		{
			name:  "the greeting, too",
			tape:  record().answer("220 a\n").client("x\n").saw(6).answer("220 b\n").client("y\n").answer("bye\n").clientFIN().serverFIN(),
			serve: turns(say("220 a\n220 b\n"), "x\n", "y\n", say("bye\n")), received: []string{"x\ny\n"},
			verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name:     "in front of more than is kept",
			tape:     record().client("a\n").answer("A").client("b\n").saw(1).answer("xyz" + big).client("c\n").answer("C").clientFIN().serverFIN(),
			serve:    turns("a\n", say("Axyz"), "b\n", reply{after: ms, pieces: []string{big}}, "c\n", say("C")),
			received: []string{"a\nb\nc\n"}, verdicts: verdictCount{compare.Identical: 3},
		},
		{
			name: "the capture ends before production's", end: session.CaptureEnd,
			tape:     record().client("sub\n").answer("ok\n").client("more\n").saw(3),
			serve:    turns("sub\n", say("ok\nevent 1\n"), "more\n"),
			received: []string{"sub\nmore\n"}, verdicts: verdictCount{compare.Different: 1, compare.Uncompared: 1}, first: "turn 1",
		},
	})
}
