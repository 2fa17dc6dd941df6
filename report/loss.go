package report

import (
	"fmt"
	"strings"
)

// bin is a count, such as one of the ledger's, with the word for it.
type bin struct {
	word string
	n    int64
}

// undelivered lists the bins whose bytes should have reached the application
// and did not, in the order of the report. What was filtered was left out on
// purpose.
func (c *ClientBytes) undelivered() []bin {
	return []bin{
		{"pending", c.Pending},
		{"gap", c.Gap},
		{"before-join", c.BeforeJoin},
		{"refused", c.Refused},
		{"closed-early", c.ClosedEarly},
		{"shed", c.Shed},
		{"unsupported", c.Unsupported},
		{"not captured", c.NotCaptured},
	}
}

// Lost returns how many client bytes did not reach the application, those that
// were never captured included and those filtered on purpose not.
func (r *Result) Lost() (n int64) {
	for _, b := range r.ClientBytes.undelivered() {
		n += b.n
	}
	return n
}

// LossWords says what was lost, client bytes by fate and packets that the
// kernel dropped; it is empty if nothing was.
func (r *Result) LossWords() string {
	var words []string
	if lost := r.Lost(); lost > 0 {
		var bins []string
		for _, b := range r.ClientBytes.undelivered() {
			if b.n > 0 {
				bins = append(bins, number(b.n)+" "+b.word)
			}
		}
		words = append(words, fmt.Sprintf("%s (%s)", count(lost, "client byte"), strings.Join(bins, ", ")))
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
	return strings.Join(words, ", ")
}
