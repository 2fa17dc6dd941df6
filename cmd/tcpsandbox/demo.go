package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tcpsandbox/report"
)

// The demo's network: production and its clients, joined by a cable.
const (
	demoServerAddr = "10.77.0.1"
	demoPort       = "80"
	demoMask       = "/24"
	demoBilling    = "10.77.0.99:514" // nobody is there
)

var demoClientAddrs = []string{"10.77.0.2", "10.77.0.3", "10.77.0.4"}

func demoCommand(code *int) *cobra.Command {
	var duration time.Duration
	var noTUI bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show it at work: production, clients and a test application, all on this machine",
		Long: `Builds a small production with clients in network namespaces of its own, replays
its traffic into a test application with one planted bug, and shows that the
result names the bug. It prints each command that it runs. On a terminal run
opens its screen: press ? there for the keys, q for the result. Nothing leaves
the namespaces, and nothing is left behind. It needs root.

Exit: 0 the bug was found and all that was captured was delivered, 1 not so,
2 misuse, 3 cannot run here.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if duration < time.Second || duration > time.Minute {
				return misuse(cmd, "--duration must lie between 1s and 1m, not %v", duration)
			}
			c, err := demo(os.Stdout, duration, noTUI)
			*code = c
			return err
		},
	}
	cmd.Flags().DurationVar(&duration, "duration", 8*time.Second, "replay this much of the traffic")
	cmd.Flags().BoolVar(&noTUI, "no-tui", false, "do not open the screen")
	cmd.AddCommand(demoServerCommand(), demoClientsCommand())
	return cmd
}

// demoStep is a command of the demo: a program in one of its namespaces.
type demoStep struct {
	where string   // "prod" or "clients"
	args  []string // of tcpsandbox
}

func (s demoStep) line(program string) string {
	return "ip netns exec " + s.where + " " + commandLine(append([]string{program}, s.args...))
}

func demoServerStep() demoStep {
	return demoStep{"prod", []string{"demo", "server", "--listen", ":" + demoPort, "--billing", demoBilling}}
}

func demoClientsStep() demoStep {
	return demoStep{"clients", []string{"demo", "clients", "--to", demoServerAddr + ":" + demoPort, "--from", strings.Join(demoClientAddrs, ",")}}
}

// demoRunStep is the main job. The test application is the production server
// with a bug.
func demoRunStep(program string, duration time.Duration, noTUI bool) demoStep {
	args := []string{"run", "--capture", "eth0:" + demoPort, "--duration", duration.String()}
	if noTUI {
		args = append(args, "--no-tui")
	}
	args = append(args, "--", program)
	args = append(args, demoServerStep().args...)
	return demoStep{"prod", append(args, "--bug")}
}

// demoNetwork is what a person would type for the demo's network.
func demoNetwork() []string {
	lines := []string{
		"ip netns add prod; ip netns add clients",
		"ip link add eth0 netns prod type veth peer name eth0 netns clients",
		"ip -n prod addr add " + demoServerAddr + demoMask + " dev eth0",
		"for a in " + strings.Join(demoClientAddrs, " ") + "; do ip -n clients addr add $a" + demoMask + " dev eth0; done",
	}
	return append(lines, "for n in prod clients; do ip -n $n link set lo up; ip -n $n link set eth0 up; done")
}

// demoCleanUp ends the two programs in the background, and the namespaces.
const demoCleanUp = "kill %1 %2; wait; ip netns del prod; ip netns del clients"

const demoPicture = `
  clients ──eth0════eth0──▶ production, a shop           two network namespaces
                     └─ a copy of each packet ─▶ tcpsandbox run             and
  a third one:  test application, the shop with a bug ◀─ the same sessions ─┘

What it runs, as you would type it in a root shell (its own namespaces have no
names, so that they cannot outlive it):

`

// judgeDemo says what the result shows, and whether that is what it should.
func judgeDemo(w io.Writer, r *report.Result) error {
	var bug *report.Group
	for i := range r.Differences {
		if r.Differences[i].Request == demoBugRequest {
			bug = &r.Differences[i]
		}
	}
	wrong := r.Answers.Different + r.Answers.Missing
	switch {
	case bug == nil:
		return errors.New("judge the demo: the planted bug in " + demoBugRequest + " was not found")
	case wrong != bug.Count || bug.Missing > 0:
		return fmt.Errorf("judge the demo: %d answers differ or are missing, the planted bug explains %d", wrong, bug.Count-bug.Missing)
	case r.Lost() > 0 || r.Capture.KernelDrops > 0:
		return fmt.Errorf("judge the demo: not everything was delivered: %s", r.LossWords())
	}
	fmt.Fprintf(w, `
The test application got every byte that the clients sent to production while
this ran, each session from its own client's address and port. %s answers
are the same; %s to %s are not, and that is the bug that was
planted: %s.
`, number(r.Answers.Identical), number(bug.Count), demoBugRequest, demoBug)
	if r.Sessions.Joined > 0 {
		fmt.Fprintf(w, "%s sessions are older than the capture, and were joined at their next request.\n", number(r.Sessions.Joined))
	}
	if len(r.Egress) > 0 {
		fmt.Fprintf(w, "What it sent to %s on its own is listed under egress; it went nowhere.\n", demoBilling)
	}
	return nil
}
