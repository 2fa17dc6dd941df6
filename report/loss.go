package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// bin is a count, such as one of the ledger's, with the word for it and, of
// the ledger's, why bytes end there.
type bin struct {
	word string
	n    int64
	why  string
}

const wordDelivered = "delivered"

// bins lists the ledger in the order of the report, and what was not captured
// beside it.
func (c *ClientBytes) bins() []bin {
	return []bin{
		{wordDelivered, c.Delivered, "acknowledged by the application's kernel"},
		{"pending", c.Pending, "not sent, or not acknowledged, when the run ended"},
		{"gap", c.Gap, "of a message of which the capture lacks a part"},
		{"before-join", c.BeforeJoin, "before the first message to join at, where the beginning was not captured"},
		{"filtered", c.Filtered, "left out on purpose"},
		{"refused", c.Refused, "the application refused or reset the connection"},
		{"closed-early", c.ClosedEarly, "the application closed before they were sent"},
		{"shed", c.Shed, "dropped over a limit, or while the replay was stopped"},
		{"unsupported", c.Unsupported, "of a kind that cannot be replayed"},
		{"not captured", c.NotCaptured, "production had them, and the capture lacks them"},
	}
}

// lostBins lists the bins that hold what should have reached the application
// and did not. What was filtered was left out on purpose.
func (c *ClientBytes) lostBins() []bin {
	return slices.DeleteFunc(c.bins(), func(b bin) bool { return b.n == 0 || b.word == wordDelivered || b.word == "filtered" })
}

func (c *ClientBytes) lost() (n int64) {
	for _, b := range c.lostBins() {
		n += b.n
	}
	return n
}

// check returns what is wrong with the ledger, or "".
func (c *ClientBytes) check() string {
	sum := -c.NotCaptured
	for _, b := range c.bins() {
		if b.n < 0 {
			return fmt.Sprintf("%d bytes are %s", b.n, b.word)
		}
		sum += b.n
	}
	if sum != c.Captured {
		return fmt.Sprintf("the bins hold %d bytes, captured were %d", sum, c.Captured)
	}
	return ""
}

// Check returns a line for each contradiction in the ledger: the bins of a
// session, or of the sum, that do not add up to what was captured, and packets
// from the application that have no fate. There are none unless tcpsandbox has a defect.
func (r *Result) Check() (defects []string) {
	for i := range r.Detail {
		if wrong := r.Detail[i].ClientBytes.check(); wrong != "" {
			defects = append(defects, fmt.Sprintf("session %d: %s", r.Detail[i].ID, wrong))
		}
	}
	if wrong := r.ClientBytes.check(); wrong != "" {
		defects = append(defects, "in all: "+wrong)
	}
	if r.Containment != nil {
		defects = append(defects, r.Containment.Check(r.Egress)...)
	}
	if len(defects) > 10 {
		defects = append(defects[:10], fmt.Sprintf("and %d more", len(defects)-10))
	}
	return defects
}

// worstShown is how many of the sessions that lost something the text names.
const worstShown = 10

// addLoss counts a session that lost something, and keeps it while it is among
// the worst; of those that lost as much, the first.
func (r *Result) addLoss(d Detail) {
	if d.ClientBytes.lost() <= 0 {
		return
	}
	r.Sessions.Lossy++
	i, _ := slices.BinarySearchFunc(r.worst, d, func(a, b Detail) int {
		return cmp.Or(cmp.Compare(b.ClientBytes.lost(), a.ClientBytes.lost()), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Copy, b.Copy))
	})
	if i < worstShown {
		r.worst = slices.Insert(r.worst, i, d)
		r.worst = r.worst[:min(len(r.worst), worstShown)]
	}
}

// Lost returns how many client bytes did not reach the application, those that
// were never captured included and those filtered on purpose not.
func (r *Result) Lost() int64 { return r.ClientBytes.lost() }

// LossWords says what was lost, client bytes by fate and packets that the
// kernel dropped; it is empty if nothing was.
func (r *Result) LossWords() string {
	var words []string
	if bins := r.ClientBytes.lostBins(); len(bins) > 0 {
		words = append(words, fmt.Sprintf("%s (%s)", count(r.Lost(), "client byte"), strings.TrimPrefix(nonZero(bins...), ", ")))
	}
	if n := r.Capture.Unordered; n > 0 {
		words = append(words, count(n, "byte")+" that could not be put in order")
	}
	if n := r.Datagrams.Dropped; n > 0 {
		words = append(words, count(n, "datagram")+" that the application's socket had no room for")
	}
	if drops := r.Capture.KernelDrops; drops > 0 {
		words = append(words, count(drops, "packet")+" dropped by the kernel")
	}
	if blind := r.Capture.Blind; blind > 0 {
		words = append(words, duration(time.Duration(blind))+" in which an interface was down or gone")
	}
	return strings.Join(words, ", ")
}

// beside says what stands beside the ledger: of these packets nobody knows
// whether they held client bytes.
func (c *Capture) beside() string {
	var words []string
	if n := c.KernelDrops; n > 0 {
		words = append(words, count(n, "packet")+" dropped by the kernel")
	}
	if n := c.Malformed; n > 0 {
		words = append(words, number(n)+" malformed")
	}
	if n := c.Unordered; n > 0 {
		words = append(words, count(n, "byte")+" that could not be put in order")
	}
	return strings.Join(words, ", ")
}
