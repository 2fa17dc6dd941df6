package compare

import (
	"net/netip"
	"time"
)

// Exchange is a request, or without a framer a client's turn, with what is
// known of both sides' answers to it. Whoever plays requests makes one, and a
// Judge judges it. It, and what it points to, belongs to its maker again when
// the Judge returns.
type Exchange struct {
	Session      uint64
	Copy         int            // of the session, from 0
	Client       netip.AddrPort // of the session, as captured
	Request      string         // its first line, "GET /cart?id=1 HTTP/1.1", or "turn 3"
	HTTP         bool           // the answers are HTTP/1 messages
	At           time.Time      // when the application was asked, or else is judged
	ProductionAt time.Time      // when production was asked, by the capture's clock; zero: not known
	First        bool           // Outcome.First is wanted
	Told         []int          // but not of these Findings

	Production  *Answer
	Application *Answer // nil: nothing came

	// Why is set where the answers cannot be compared, whatever they are.
	Why Reason
	// Extra: production gave no such answer (a datagram of the application's).
	Extra bool
	// Part: production's answer is a beginning, and nobody knows how it went
	// on. Cut: the application's, too, was ended from outside.
	Part, Cut bool

	ProductionTimes, ApplicationTimes Times

	// Closing: it is no request but the end of the connection. Of the rest only
	// the session's fields are set.
	Closing                       bool
	ProductionEnd, ApplicationEnd Ending
}

// Times are how long after the request's last byte the answer's first byte and
// its last byte came, both as seen at the server's network interface. Only
// where First is not nought were they measured; Whole is nought where the
// answer did not come to its end.
type Times struct {
	First, Whole time.Duration
}

// Outcome is what a Judge found.
type Outcome struct {
	Verdict Verdict
	First   *Difference // the first difference, the callee's to keep, if it was wanted
	// Finding names what the answers differ in, as far as noise may excuse it
	// in the end; 0: nothing does.
	Finding int
}

// Judge judges exchanges. It may be called by several goroutines at once.
type Judge func(*Exchange) Outcome

// Judge compares the two answers of an exchange.
func (x *Exchange) Judge(q Question, rules *Rules) Result {
	switch {
	case x.Closing:
		return Close(x.ProductionEnd, x.ApplicationEnd, rules)
	case x.Why != Compared:
		return Result{Verdict: Uncompared, Why: x.Why}
	case x.Extra:
		return Result{Verdict: Different, Differences: []Difference{Extra(x.Application)}}
	case x.Part && x.Application == nil:
		return partsOf(x.Production, new(Answer), x.Cut, q, rules)
	case x.Part:
		return partsOf(x.Production, x.Application, x.Cut, q, rules)
	}
	return Answers(x.Production, x.Application, q, rules)
}

// ByBytes is the Judge that allows nothing and keeps no account.
func ByBytes(x *Exchange) Outcome {
	r := x.Judge(Question{}, nil)
	return Outcome{Verdict: r.Verdict, First: r.First()}
}
