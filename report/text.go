package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

// egressShown is how many destinations the text names; files have them all.
const egressShown = 5

// Text writes the result for people: the verdict in one sentence, then a block
// of what was done and met, the differences (compared.go), the sessions that
// lost most, at last what was lost in all, if anything was. A run that meets
// nothing unusual fills one screen of 80 columns; only what people paste and
// their own command lines make lines longer than 100. The error is w's.
func (r *Result) Text(w io.Writer) error {
	t := newText(r.written())
	fmt.Fprintf(t.b, "%s\n\n", t.verdict())
	t.captureAndSessions()
	t.ledger()
	t.watchdog()
	t.release()
	t.answers()
	t.closes()
	t.latency()
	t.slower()
	t.noise()
	t.apps()
	t.egress()
	t.containment()
	t.failed()
	t.differences()
	t.losses()
	t.lines("warnings", t.Warnings)
	t.lines("defects of tcpsandbox", t.Defects)
	if words := r.LossWords(); words != "" {
		fmt.Fprintf(t.b, "\nlost: %s\n", words)
	}
	_, err := w.Write(t.b.Bytes())
	return err
}

// VerdictLine is the sentence that Text begins with.
func (r *Result) VerdictLine() string { return newText(r.written()).verdict() }

// text is a result on its way to being written out.
type text struct {
	*Result
	b *bytes.Buffer
}

func newText(r *Result) *text { return &text{Result: r, b: new(bytes.Buffer)} }

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
	case t.App.Died > 0:
		return fmt.Sprintf("the application died %s in the middle of the run%s", times(t.App.Died), t.judged())
	case t.Sessions.Seen == 0:
		return "no session was captured"
	case a.Compared == 0 && t.Closes.Different > 0:
		return fmt.Sprintf("%s of %s ended otherwise than production's", number(t.Closes.Different), count(t.Closes.Compared, "connection"))
	case a.Compared == 0 && t.LossWords() != "":
		return "no answer could be compared with production's, and not everything arrived"
	case a.Compared == 0:
		return "no answer could be compared with production's"
	case a.Different+a.Missing > 0:
		return strings.TrimPrefix(t.judged(), ": ")
	case t.Closes.Different > 0:
		return fmt.Sprintf("no answer differs from production's (%s compared), but %s of %s ended otherwise",
			number(a.Compared), number(t.Closes.Different), count(t.Closes.Compared, "connection"))
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
	if failed := nonZero(bin{word: "refused", n: s.Refused}, bin{word: "reset", n: s.Reset}, bin{word: "closed early", n: s.ClosedEarly},
		bin{word: "unanswered", n: s.Unanswered}, bin{word: "pending", n: s.Pending}); failed != "" {
		t.row("", "of those failed: %s", strings.TrimPrefix(failed, ", "))
	}
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
		if b.word == "shed" {
			b.why = t.Sessions.shedWhy(b.why)
		}
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

// shedWhy says over which limits sessions were shed, and how many each; otherwise,
// if nothing is known.
func (s *Sessions) shedWhy(otherwise string) string {
	if s.Shed == 0 {
		return otherwise
	}
	words := nonZero(bin{word: "over --max-memory", n: s.Shed - s.ShedCPU - s.ShedWatchdog}, bin{word: "over --max-cpu", n: s.ShedCPU},
		bin{word: "while the replay was stopped", n: s.ShedWatchdog})
	return "sessions dropped: " + strings.TrimPrefix(words, ", ")
}

// watchdog tells of the times for which the replay was stopped.
func (t *text) watchdog() {
	var total Seconds
	for _, s := range t.Watchdog {
		total += s.For
	}
	if n := len(t.Watchdog); n > 0 {
		t.row("watchdog", "the replay was stopped %s, for %s in all", count(int64(n), "time"), duration(time.Duration(total)))
		t.row("", "at %s: %s", duration(time.Duration(t.Watchdog[0].At)), t.Watchdog[0].Why)
	}
}

func (t *text) release() {
	r := &t.Release
	if words := nonZero(bin{word: "exact", n: r.Exact}, bin{word: "boundary", n: r.Boundary}, bin{word: "quiet", n: r.Quiet}, bin{word: "timeout", n: r.Timeout},
		bin{word: "unawaited", n: r.Unawaited}); words != "" {
		t.row("release", "%s", strings.TrimPrefix(words, ", "))
	}
}

func (t *text) apps() {
	t.app("application", &t.App.App, "")
	t.deaths()
	if b := t.Baseline; b != nil {
		how := ""
		if b.Compared > 0 {
			how = fmt.Sprintf("; %s of %s differ", number(b.Differed), count(b.Compared, "answer"))
		}
		t.app("baseline", &b.App, how)
	}
}

func (t *text) app(word string, a *App, more string) {
	if *a == (App{}) {
		return
	}
	how := fmt.Sprintf("exit code %d", a.ExitCode)
	if a.Signal != "" {
		how = "ended by " + a.Signal
	} else if a.ExitCode < 0 {
		how = "did not start"
	}
	if a.Listen != "" {
		how = "listened on " + a.Listen + ", " + how
	}
	t.row(word, "%s (%s%s)", printableString(a.Command), how, more)
}

// deaths lists how an application died that was started again.
func (t *text) deaths() {
	a := &t.App
	if a.Restarts == 0 {
		return
	}
	t.row("", "died %s, started again %s", times(a.Died), times(a.Restarts))
	var rows [][]string
	for i, d := range a.Deaths {
		if i == deathsShown {
			rows = append(rows, []string{fmt.Sprintf("and %s more", number(a.Died-deathsShown))})
			break
		}
		rows = append(rows, []string{"after " + duration(time.Duration(d.At)), d.how()})
	}
	t.table(rows)
}

// deathsShown are listed in the text.
const deathsShown = 5

// how says what ended it, and when in its life.
func (d *Death) how() string {
	how := fmt.Sprintf("exit code %d", d.ExitCode)
	if d.Signal != "" {
		how = d.Signal
	}
	if d.Listened == 0 {
		return how + ", before it listened"
	}
	return how + ", having listened for " + duration(time.Duration(d.Listened))
}

// times writes "once", "3 times".
func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return number(n) + " times"
}

func (t *text) egress() {
	if len(t.Egress) == 0 {
		return
	}
	var packets int64
	var rows [][]string
	for i, e := range t.Egress {
		packets += e.Packets
		if i == egressShown {
			rows = append(rows, []string{fmt.Sprintf("and %d more", len(t.Egress)-i)})
		}
		if i >= egressShown {
			continue
		}
		rows = append(rows, []string{e.Proto, e.where(), count(e.Packets, "packet"), size(e.Bytes), e.Policy, printableString(e.called())})
	}
	t.row("egress", "%s to %s", count(packets, "packet"), count(int64(len(t.Egress)), "destination"))
	t.table(rows)
}

// containment says what became of the application's packets. It is short where
// nothing but answers came.
func (t *text) containment() {
	packets, proof := t.ContainmentWords()
	if packets == "" {
		return
	}
	t.row("containment", "%s", packets)
	t.row("", "%s", proof)
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
