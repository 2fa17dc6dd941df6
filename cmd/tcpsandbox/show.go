package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"tcpsandbox/capture"
	"tcpsandbox/replay"
	"tcpsandbox/report"
	"tcpsandbox/sandbox"
	"tcpsandbox/session"
)

func showCommand() *cobra.Command {
	var pick picked
	var asJSON, onScreen bool
	cmd := &cobra.Command{
		Use:   "show FILE[:PORT[/udp],…]",
		Short: "List the sessions in a capture file, or browse them or a report",
		Long: `Lists the TCP sessions in a capture file (pcap or pcapng, either gzipped; - for
the standard input), and the UDP flows to ports such as 53/udp: who talked to
whom, how it ended, turns, bytes each way, how long it lasted, and what the
capture lacks.

Where not all captured client bytes can be replayed, columns say what becomes
of them: DELIVERABLE reach an application that takes everything; GAP belong to
a message of which the capture lacks a part; BEFORE-JOIN come before the first
message at which a session without its beginning can be joined; UNSUPPORTED are
of a kind that cannot be replayed. They add up to TO SERVER.

With --tui the sessions are browsed on the terminal; FILE may then be the report
of a run as well (run --report FILE.json):

  tcpsandbox show --tui shop.pcapng
  tcpsandbox show --tui run.json`,
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
			if err := pick.complete(); err != nil {
				return usageError{cmd.CommandPath(), err}
			}
			if onScreen {
				if asJSON {
					return misuse(cmd, "--tui and --json contradict each other")
				}
				return browse(cmd, args[0], spec, &pick)
			}
			return show(os.Stdout, args[0], spec, &pick, asJSON)
		},
	}
	pick.flags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object instead of text")
	cmd.Flags().BoolVar(&onScreen, "tui", false, "browse the sessions on the terminal; FILE may be a report of run, too")
	return cmd
}

// show lists what is in a capture, also what could be read of one that breaks
// off.
func show(out io.Writer, name string, spec capture.Spec, pick *picked, asJSON bool) error {
	con := newConsole(false)
	var src capture.Source
	var err error
	if spec.Source == "-" {
		src, err = pick.open(spec)
	} else if src, err = capture.OpenFile(spec.Source); err == nil {
		src = capture.Filtered(src, pick.filter, pick.intoTunnels(spec))
	}
	if err != nil {
		return cannot(err)
	}
	defer src.Close()
	l := &report.Listing{Tool: "tcpsandbox " + version()}
	readErr := list(l, capture.Steady(src), spec, !pick.intoTunnels(spec))
	l.Capture.Source = name
	for i, w := range l.Warnings {
		l.Warnings[i] = name + ": " + w
	}
	buffered := bufio.NewWriter(out)
	if asJSON {
		err = l.WriteJSON(buffered)
	} else {
		err = l.Text(buffered)
	}
	if e := buffered.Flush(); err == nil {
		err = e
	}
	if err != nil {
		return cannot(fmt.Errorf("write the list: %w", err))
	}
	for _, w := range l.Warnings {
		con.warn("%s", w)
	}
	switch {
	case len(l.Defects) > 0:
		return cannot(defectError(l.Defects))
	case readErr != nil:
		return cannot(fmt.Errorf("%s: %w", name, readErr))
	}
	return nil
}

// list reads a capture to its end.
func list(l *report.Listing, src capture.Source, spec capture.Spec, noTunnels bool) error {
	asm := capture.NewAssembler(capture.AssemblerConfig{Ports: spec.Ports, UDP: spec.UDP, NoTunnels: noTunnels, LongestSilence: longestSilence})
	outlook := replay.NewOutlook(func(s *session.Session, ledger session.Ledger) { add(l, s, ledger) })
	look := func(batch []*session.Session) {
		for _, s := range batch {
			if s.Proto != session.UDP {
				outlook.Feed([]*session.Session{s})
				continue
			}
			s.Take(nil)
			if t, why := s.Totals(); why != session.Live && s.Owner == nil {
				s.Owner = true
				add(l, s, session.Ledger{session.Delivered: t.Bytes[session.Client]})
			}
		}
	}
	err := src.Run(context.Background(), func(batch []capture.Packet) error {
		look(asm.Packets(batch))
		return nil
	})
	look(asm.Flush())
	slices.SortFunc(l.Detail, func(a, b report.ListedSession) int { return cmp.Compare(a.ID, b.ID) })
	stats, packets := asm.Stats(), src.Stats()
	l.Capture = report.ListedCapture{
		Packets: int64(packets.Packets), Bytes: int64(packets.Bytes), KernelDrops: int64(packets.KernelDrops),
		Malformed: int64(packets.Malformed + stats.Malformed), Filtered: int64(packets.Packets - stats.Packets),
		Ignored: int64(stats.Ignored), Cut: int64(packets.Cut), Unordered: int64(stats.Orphaned + stats.Shed),
	}
	if packets.Truncated != "" {
		l.Warnings = append(l.Warnings, "the capture is cut off: "+packets.Truncated)
	}
	if stats.Stale > 0 {
		l.Warnings = append(l.Warnings, staleWords(stats))
	}
	if stats.Unsupported > 0 {
		l.Warnings = append(l.Warnings, fmt.Sprintf("%s packets of link type %d, which is not supported", number(stats.Unsupported), stats.LastLink))
	}
	return err
}

// add lists a session that has ended; ledger is what the capture says of its
// client's bytes.
func add(l *report.Listing, s *session.Session, ledger session.Ledger) {
	t, why := s.Totals()
	if !playable(s) {
		ledger[session.Unsupported] += ledger[session.Delivered]
		ledger[session.Delivered] = 0
	}
	client, err := report.Outlook(t.Bytes[session.Client], ledger, t.Missing[session.Client])
	l.Add(report.ListedSession{
		ID: s.ID, Client: s.Client.String(), Server: s.Server.String(), Proto: s.Proto.String(), Via: s.Via,
		State: state(s, why), Joined: s.Joined, Turns: int64(t.Turns), ClientBytes: client,
		ServerBytes: report.ServerBytes{Captured: t.Bytes[session.Server], NotCaptured: t.Missing[session.Server]},
		Start:       s.Start, Duration: report.Seconds(t.Last), Lasted: t.Last,
	}, replay.Whole(s, t), err)
}

// playable reports whether run can play sessions of this kind at all; see
// pipeline.dial.
func playable(s *session.Session) bool {
	client, server := standIns(s.Client, s.Server)
	return sandbox.Replayable(client.Addr(), server.Addr()) && client.Port() != 0 && server.Port() != 0
}

// state says how a session ended, in one word.
func state(s *session.Session, why session.Cause) string {
	switch o := s.Opening(); {
	case o == session.OpeningUnanswered, o == session.OpeningRefused:
		return o.String()
	case why == session.CaptureEnd:
		return "open"
	}
	return why.String()
}
