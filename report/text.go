package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// Text writes the result for people: the verdict in one sentence, then a block
// of what was done and met, the differences, the sessions that lost most, at
// last what was lost in all, if anything was. The error is w's.
func (r *Result) Text(w io.Writer) error {
	var b bytes.Buffer
	t := &text{Result: r.written(), b: &b}
	fmt.Fprintf(&b, "%s\n\n", t.verdict())
	t.captureAndSessions()
	t.ledger()
	t.release()
	t.answers()
	t.latency()
	t.app()
	t.egress()
	t.differences()
	t.losses()
	t.lines("warnings", t.Warnings)
	t.lines("defects of tcpsandbox", t.Defects)
	if words := r.LossWords(); words != "" {
		fmt.Fprintf(&b, "\nlost: %s\n", words)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// text is a result on its way to being written out.
type text struct {
	*Result
	b *bytes.Buffer
}

// row writes a line of the block: a word, and what it comes to.
func (t *text) row(word, format string, args ...any) {
	line := fmt.Sprintf("%-11s  %s", word, fmt.Sprintf(format, args...))
	t.b.WriteString(strings.TrimRight(line, " "))
	t.b.WriteByte('\n')
}

// table writes rows of cells below the row before, in aligned columns.
func (t *text) table(rows [][]string) {
	for _, line := range columns(rows) {
		t.row("", "%s", line)
	}
}

// verdict is the sentence that the result begins with.
func (t *text) verdict() string {
	a := &t.Answers
	switch {
	case len(t.Defects) > 0:
		return "do not trust this result: it contradicts itself, which is a defect of tcpsandbox"
	case t.Ended == EndedNoListener:
		return "the application never listened, nothing was replayed"
	case t.Ended == EndedNoBaseline:
		return "the baseline never listened, nothing was replayed"
	case t.Ended == EndedAppExited && t.App.Signal != "":
		return "the application was ended by " + t.App.Signal + " in the middle of the run" + t.judged()
	case t.Ended == EndedAppExited:
		return fmt.Sprintf("the application exited with code %d in the middle of the run%s", t.App.ExitCode, t.judged())
	case t.Sessions.Seen == 0:
		return "no session was captured"
	case a.Compared == 0 && t.LossWords() != "":
		return "no answer could be compared with production's, and not everything arrived"
	case a.Compared == 0:
		return "no answer could be compared with production's"
	case a.Different+a.Missing > 0:
		return strings.TrimPrefix(t.judged(), ": ")
	case t.LossWords() != "":
		return fmt.Sprintf("all that was compared matches production's (%s), but not everything arrived", count(a.Compared, "answer"))
	}
	if a.Uncompared > 0 {
		return fmt.Sprintf("all answers that could be compared match production's (%s; %s could not)", number(a.Compared), number(a.Uncompared))
	}
	return fmt.Sprintf("all answers match production's (%s compared)", number(a.Compared))
}

// judged continues a sentence with how the answers were.
func (t *text) judged() string {
	a := &t.Answers
	wrong := a.Different + a.Missing
	switch {
	case a.Compared == 0:
		return ""
	case wrong == 0:
		return fmt.Sprintf(": %s compared, all match production's", count(a.Compared, "answer"))
	}
	are := "are"
	if wrong == 1 {
		are = "is"
	}
	kinds := nonZero(bin{word: "different", n: a.Different}, bin{word: "missing", n: a.Missing})
	return fmt.Sprintf(": %s of %s %s not production's (%s)", number(wrong), count(a.Compared, "compared answer"), are,
		strings.TrimPrefix(kinds, ", "))
}

func (t *text) captureAndSessions() {
	c := &t.Capture
	source := c.Source
	if source != "" {
		source += ": "
	}
	t.row("capture", "%s%s, %s in %s%s", source, count(c.Packets, "packet"), size(c.Bytes), duration(time.Duration(t.Duration)), nonZero(
		bin{word: "malformed", n: c.Malformed}, bin{word: "dropped by the kernel", n: c.KernelDrops}))
	if len(c.Sources) > 1 {
		var rows [][]string
		for _, s := range c.Sources {
			rows = append(rows, []string{s.Source, count(s.Packets, "packet"), size(s.Bytes) + nonZero(
				bin{word: "malformed", n: s.Malformed}, bin{word: "dropped by the kernel", n: s.KernelDrops})})
		}
		t.table(rows)
	}
	if t.Ended != "" {
		t.row("ended", "%s", t.Ended)
	}
	s := &t.Sessions
	t.row("sessions", "%s seen%s", number(s.Seen), nonZero(
		bin{word: "complete", n: s.Complete}, bin{word: "joined", n: s.Joined}, bin{word: "replayed", n: s.Replayed},
		bin{word: "finished", n: s.Finished}, bin{word: "failed", n: s.Failed}, bin{word: "skipped", n: s.Skipped}))
	if more := nonZero(bin{word: "UDP flows", n: s.UDP}, bin{word: "left out on purpose", n: s.Filtered}, bin{word: "copies", n: s.Copies}, bin{word: "shed", n: s.Shed}, bin{word: "reconnected", n: s.Reconnects}); more != "" {
		t.row("", "%s", strings.TrimPrefix(more, ", "))
	}
}

// ledger tells where each captured client byte ended, and what stands beside
// that because it is no client byte, or nobody knows.
func (t *text) ledger() {
	c := &t.ClientBytes
	share := ""
	if c.Captured > 0 {
		share = fmt.Sprintf(" (%s %%)", percent(c.Delivered, c.Captured))
	}
	t.row("bytes", "%s of %s delivered%s", number(c.Delivered), count(c.Captured, "captured client byte"), share)
	var rows [][]string
	for _, b := range c.bins() {
		if b.n != 0 && b.word != wordDelivered {
			rows = append(rows, []string{b.word, number(b.n), b.why})
		}
	}
	t.table(rows)
	if d := &t.Datagrams; d.Sent > 0 {
		t.row("datagrams", "%s sent%s", number(d.Sent), nonZero(bin{word: "refused", n: d.Refused}, bin{word: "dropped by the application's kernel", n: d.Dropped}))
	}
	if beside := t.Capture.beside(); beside != "" {
		t.row("", "beside them: %s", beside)
	}
}

func (t *text) release() {
	r := &t.Release
	if words := nonZero(bin{word: "exact", n: r.Exact}, bin{word: "boundary", n: r.Boundary}, bin{word: "quiet", n: r.Quiet}, bin{word: "timeout", n: r.Timeout},
		bin{word: "unawaited", n: r.Unawaited}); words != "" {
		t.row("release", "%s", strings.TrimPrefix(words, ", "))
	}
}

func (t *text) answers() {
	a := &t.Answers
	t.row("answers", "%s compared%s", number(a.Compared), nonZero(
		bin{word: "identical", n: a.Identical}, bin{word: "equivalent", n: a.Equivalent}, bin{word: "different", n: a.Different},
		bin{word: "missing", n: a.Missing}, bin{word: "uncompared", n: a.Uncompared}))
	if a.Extra > 0 {
		t.row("", "%s of the different are datagrams that production did not send", number(a.Extra))
	}
}

func (t *text) latency() {
	if t.Latency.Production.Count+t.Latency.Application.Count+t.Lateness.Count == 0 {
		return
	}
	rows := [][]string{{"", "p50", "p90", "p99"}}
	for _, side := range []struct {
		name string
		p    Percentiles
	}{{"production", t.Latency.Production}, {"application", t.Latency.Application}, {"behind pace", t.Lateness}} {
		if side.p.Count == 0 {
			continue
		}
		rows = append(rows, []string{side.name, duration(time.Duration(side.p.P50)), duration(time.Duration(side.p.P90)), duration(time.Duration(side.p.P99))})
	}
	for i, line := range columns(rows) {
		t.row([]string{"latency", ""}[min(i, 1)], "%s", line)
	}
}

func (t *text) app() {
	if t.App == (App{}) {
		return
	}
	how := fmt.Sprintf("exit code %d", t.App.ExitCode)
	if t.App.Signal != "" {
		how = "ended by " + t.App.Signal
	} else if t.App.ExitCode < 0 {
		how = "did not start"
	}
	if t.App.Listen != "" {
		how = "listened on " + t.App.Listen + ", " + how
	}
	t.row("application", "%s (%s)", printable([]byte(t.App.Command)), how)
}

func (t *text) egress() {
	if len(t.Egress) == 0 {
		return
	}
	var packets int64
	var rows [][]string
	for i, e := range t.Egress {
		packets += e.Packets
		if i == groupsWritten {
			rows = append(rows, []string{fmt.Sprintf("and %d more", len(t.Egress)-i)})
		}
		if i >= groupsWritten {
			continue
		}
		dst := e.Dst
		if e.Port != 0 {
			if strings.Contains(dst, ":") {
				dst = "[" + dst + "]"
			}
			dst = fmt.Sprintf("%s:%d", dst, e.Port)
		}
		rows = append(rows, []string{e.Proto, dst, count(e.Packets, "packet"), size(e.Bytes), e.Policy, printable([]byte(e.Name))})
	}
	t.row("egress", "%s to %s", count(packets, "packet"), count(int64(len(t.Egress)), "destination"))
	t.table(rows)
}

func (t *text) differences() {
	if len(t.Differences) == 0 {
		return
	}
	t.b.WriteString("\ndifferences\n")
	for _, g := range t.Differences {
		fmt.Fprintf(t.b, "  %s: %s", g.Request, number(g.Count))
		switch {
		case g.Missing == g.Count:
			t.b.WriteString(" missing")
		case g.Missing > 0:
			fmt.Fprintf(t.b, ", %s missing", number(g.Missing))
		}
		fmt.Fprintf(t.b, ", such as in session %d", g.Session)
		if e := g.Example; e != nil && e.Production == "" && e.Application == "" {
			fmt.Fprintf(t.b, ", at or after byte %s\n", number(e.Offset))
		} else if e != nil {
			fmt.Fprintf(t.b, ", at byte %s\n    production   \"%s\"\n    application  \"%s\"\n", number(e.Offset), e.Production, e.Application)
		} else {
			t.b.WriteByte('\n')
		}
	}
	if t.DifferencesOmitted > 0 {
		fmt.Fprintf(t.b, "  and %s to other requests\n", count(t.DifferencesOmitted, "answer"))
	}
}

// losses lists the sessions that lost most.
func (t *text) losses() {
	if len(t.worst) == 0 {
		return
	}
	fmt.Fprintf(t.b, "\nclient bytes were lost in %s", count(t.Sessions.Lossy, "session"))
	if int64(len(t.worst)) < t.Sessions.Lossy {
		fmt.Fprintf(t.b, ", most in these")
	}
	t.b.WriteByte('\n')
	for i := range t.worst {
		d := &t.worst[i]
		fmt.Fprintf(t.b, "  session %d", d.ID)
		if d.Copy > 0 {
			fmt.Fprintf(t.b, ", copy %d", d.Copy)
		}
		c := &d.ClientBytes
		fmt.Fprintf(t.b, ", %s to %s, %s: %s of %s delivered\n", d.Client, d.Server, d.State, number(c.Delivered), count(c.Captured, "byte"))
		for _, b := range c.lostBins() {
			fmt.Fprintf(t.b, "    %s %s: %s\n", number(b.n), b.word, b.why)
		}
	}
	if more := t.Sessions.Lossy - int64(len(t.worst)); more > 0 {
		fmt.Fprintf(t.b, "  and %s\n", count(more, "more session"))
	}
}

// lines writes a block of lines under a title, if there are any.
func (t *text) lines(title string, all []string) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(t.b, "\n%s\n", title)
	for _, line := range all {
		fmt.Fprintf(t.b, "  %s\n", line)
	}
}
