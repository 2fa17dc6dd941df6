package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/google/gopacket/pcapgo"
	"github.com/rogpeppe/go-internal/testscript"

	"tcpsandbox/capture/capturetest"
)

// Captures that missed packets, and what a replay of them should deliver. None
// of this uses the code under test: files are read by gopacket, streams put
// together in oracle_linux_test.go.

func readPackets(path string) ([]capturetest.Packet, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var all []capturetest.Packet
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		all = append(all, capturetest.Packet{Time: info.Timestamp, Data: data})
	}
}

// cmdLose copies a capture but for some per cent of its packets, whichever they
// are: handshakes, data, acknowledgements, FINs. The numbers of those, from 0,
// go to OUT.lost.
func cmdLose(ts *testscript.TestScript, w *world, args []string) error {
	share, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return err
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	packets, err := readPackets(ts.MkAbs(args[2]))
	if err != nil {
		return err
	}
	chance := rand.New(rand.NewPCG(seed, 0))
	var kept []capturetest.Packet
	var lost strings.Builder
	for i, p := range packets {
		if chance.Float64()*100 < share {
			fmt.Fprintln(&lost, i)
		} else {
			kept = append(kept, p)
		}
	}
	ts.Logf("%s: %d of %d packets of %s are left out", args[3], len(packets)-len(kept), len(packets), args[2])
	if err := os.WriteFile(ts.MkAbs(args[3]+".lost"), []byte(lost.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(ts.MkAbs(args[3]), capturetest.Pcap(kept), 0o644)
}

// cmdRecovered checks what a run with a capture that misses packets has
// delivered, and that its ledger names what is missing:
//
//   - Each message that the capture still has from its first byte to its last
//     was received, once, unchanged, in the order of its client's; and nothing
//     else was. A message is an HTTP request with its body. Of frames, for
//     which the program knows no parser, a message is a client's turn, and some
//     cannot be told to be whole: see turns.
//   - not_captured is, client by client, the number of bytes that are missing
//     and that production is seen to have acknowledged.
//   - No answer differs or is missing, since the application is production's,
//     where the session's beginning was captured: handshake, greeting, first
//     message. (Whoever has not seen those cannot know that the server speaks
//     first, and takes that for an answer.)
//   - No client of which a whole message was captured is lost altogether.
func cmdRecovered(ts *testscript.TestScript, w *world, args []string) error {
	kind := args[0]
	whole, err := readPackets(ts.MkAbs(args[1]))
	if err != nil {
		return err
	}
	lost := map[int]bool{}
	for _, field := range strings.Fields(ts.ReadFile(args[2] + ".lost")) {
		n, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		lost[n] = true
	}
	clients, err := foresee(kind, whole, lost)
	if err != nil {
		return err
	}
	received := map[string][]string{} // by client
	for line := range strings.Lines(ts.ReadFile(args[3])) {
		client, message, _ := strings.Cut(strings.TrimSpace(line), " ")
		received[client] = append(received[client], message)
	}
	books, err := readBooked(ts.ReadFile(args[4]))
	if err != nil {
		return err
	}
	var wrong []string
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	var all, due, optional, holes, missing int
	for _, c := range clients {
		all += len(c.messages)
		holes, missing = holes+c.holes, missing+int(c.missing)
		got := received[c.name]
		delete(received, c.name)
		for i, m := range c.messages {
			switch m.state {
			case broken:
				continue
			case doubtful:
				optional++
				if len(got) > 0 && got[0] == m.text {
					got = got[1:]
				}
				continue
			}
			due++
			if len(got) == 0 || got[0] != m.text {
				next := "nothing"
				if len(got) > 0 {
					next = got[0]
				}
				complain("%s: message %d of %d should have come (%s), but next came %s", c.name, i+1, len(c.messages), m.text, next)
				break
			}
			got = got[1:]
		}
		if len(got) > 0 && len(wrong) == 0 {
			complain("%s: nobody sent whole, or twice: %s", c.name, got[0])
		}
		book := books[c.name]
		if c.opened && book.missing != c.missing || book.missing > c.missing {
			complain("%s: %d bytes are missing, the ledger says %d", c.name, c.missing, book.missing)
		}
		if c.opened && c.has[0] && (kind != "frames" || c.greeted()) && (book.verdict == "different" || book.verdict == "missing") {
			complain("%s: an answer is %s", c.name, book.verdict)
		}
	}
	for client, messages := range received {
		complain("%s, which is no client, sent %s", client, messages[0])
	}
	ts.Logf("%s: %d clients sent %d messages; %d holes of %d bytes; %d messages are whole in the capture and have come, %d more may be",
		args[2], len(clients), all, holes, missing, due, optional)
	if due == 0 || holes == 0 {
		complain("nothing was shown: %d messages, %d holes", due, holes)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d faults, such as\n%s", len(wrong), strings.Join(wrong[:min(len(wrong), 10)], "\n"))
	}
	return nil
}
