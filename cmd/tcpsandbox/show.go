package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tcpsandbox/capture"
	"tcpsandbox/capture/expr"
	"tcpsandbox/replay"
	"tcpsandbox/session"
)

func showCommand() *cobra.Command {
	var filterText string
	cmd := &cobra.Command{
		Use:   "show FILE[:PORT[/udp],…]",
		Short: "List the sessions in a capture file",
		Long: `Lists the TCP sessions in a capture file (pcap or pcapng, either gzipped; - for
the standard input), and the UDP flows to ports such as 53/udp: who talked to
whom, how it ended, turns, bytes each way, how long it lasted, and what the
capture lacks.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return misuse(cmd, "no file: name a capture file, such as shop.pcap")
			case 1:
			default:
				return misuse(cmd, "one file at a time, not %d", len(args))
			}
			spec, err := capture.ParseSpec(args[0])
			if err != nil {
				return usageError{cmd.CommandPath(), err}
			}
			filter, err := parseFilter(filterText)
			if err != nil {
				return usageError{cmd.CommandPath(), err}
			}
			return show(os.Stdout, args[0], spec, filter)
		},
	}
	cmd.Flags().StringVar(&filterText, "filter", "", "only packets that match this expression in tcpdump's language")
	return cmd
}

func show(out io.Writer, name string, spec capture.Spec, filter *expr.Filter) error {
	con := newConsole(false)
	var src capture.Source
	var err error
	if spec.Source == "-" {
		src, err = spec.Open(capture.LiveConfig{})
	} else {
		src, err = capture.OpenFile(spec.Source)
	}
	if err != nil {
		return cannot(err)
	}
	defer src.Close()
	src = withFilter(src, filter)
	asm := capture.NewAssembler(capture.AssemblerConfig{Ports: spec.Ports, UDP: spec.UDP})
	var all []*session.Session
	collect := func(batch []*session.Session) {
		for _, s := range batch {
			s.Take(nil) // only the totals are wanted
			if s.Owner == nil {
				s.Owner = true
				all = append(all, s)
			}
		}
	}
	err = src.Run(context.Background(), func(batch []capture.Packet) error {
		collect(asm.Packets(batch))
		return nil
	})
	collect(asm.Flush())
	slices.SortFunc(all, func(a, b *session.Session) int { return cmp.Compare(a.ID, b.ID) })

	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCLIENT\tSERVER\tSTATE\tTURNS\tTO SERVER\tTO CLIENT\tDURATION\tMISSING")
	var whole int
	var captured, lacking int64
	for _, s := range all {
		t, why := s.Totals()
		if replay.Whole(s, t) {
			whole++
		}
		captured += t.Bytes[session.Client]
		lacking += t.Missing[session.Client]
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\t%s\t%v\t%s\n", s.ID, s.Client, s.Server, state(s, t, why), t.Turns,
			number(t.Bytes[session.Client]), number(t.Bytes[session.Server]), t.Last.Round(time.Microsecond), missing(s, t))
	}
	if e := w.Flush(); e != nil {
		return cannot(fmt.Errorf("write the list: %w", e))
	}
	stats, packets := asm.Stats(), src.Stats()
	fmt.Fprintf(out, "\n%s, %s", count(len(all), "session"), count(packets.Packets, "packet"))
	if n := packets.Malformed + stats.Malformed; n > 0 {
		fmt.Fprintf(out, ", %s malformed", number(n))
	}
	if n := stats.Ignored; n > 0 {
		fmt.Fprintf(out, ", %s of no session", number(n))
	}
	if n := packets.Cut; n > 0 {
		fmt.Fprintf(out, ", %s cut by the snap length", number(n))
	}
	fmt.Fprintf(out, "\n%s of them whole; %s client bytes captured, %s missing\n", number(whole), number(captured), number(lacking))
	if packets.Truncated != "" {
		con.warn("%s: the capture is cut off: %s", name, packets.Truncated)
	}
	if stats.Unsupported > 0 {
		con.warn("%s: %s packets of link type %d, which is not supported", name, number(stats.Unsupported), stats.LastLink)
	}
	if err != nil {
		return cannot(fmt.Errorf("%s: %w", name, err))
	}
	return nil
}

// state says how a session ended, in one word or two.
func state(s *session.Session, t session.Totals, why session.Cause) string {
	text := why.String()
	if why == session.CaptureEnd {
		text = "open"
	}
	switch s.Opening() {
	case session.OpeningUnanswered, session.OpeningRefused:
		text = s.Opening().String()
	}
	if s.Proto == session.UDP {
		text = "udp"
	}
	if s.Joined {
		text += ", joined"
	}
	if s.Via != "" {
		text += ", " + s.Via
	}
	return text
}

// missing says what the capture lacks.
func missing(s *session.Session, t session.Totals) string {
	text := ""
	add := func(format string, args ...any) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf(format, args...)
	}
	if s.Joined {
		add("beginning")
	}
	for _, side := range []session.Side{session.Client, session.Server} {
		if n := t.Missing[side]; n > 0 {
			add("%s bytes of the %s", number(n), side)
		}
	}
	if text == "" {
		return "-"
	}
	return text
}
