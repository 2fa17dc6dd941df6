package replay

import (
	"net/netip"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// View is what can be seen of a session from outside, at one moment: a copy.
type View struct {
	Slot   int // which of the engine's sessions it is, in order of appearance from 0; copies have their own
	ID     uint64
	Copy   int
	Proto  session.Proto
	Client netip.AddrPort // as captured
	As     netip.AddrPort // as the application sees it
	Server netip.AddrPort
	Start  time.Time // when the session began, as captured
	Joined bool

	Production  ProductionState
	Application ApplicationState
	Held        Holding // why, if Application is Held or Waiting
	// State is Record.State of a session that has ended, else "".
	State string
	// Due is when the chunk that is held was to be sent; zero: it is not known,
	// or nothing is held. Behind is how much later than that the latest chunk was;
	// negative: none was sent, or it is not known.
	Due    time.Time
	Behind time.Duration

	Requests  int   // begun: requests, or client turns; of UDP: answers
	Delivered int64 // client bytes that the application has acknowledged; -1: nobody plays them
	Captured  int64 // client bytes
	Answered  int64 // bytes that the application has sent; -1: it is not known
	Served    int64 // bytes that production's server sent, as far as captured; -1: it is not known

	Verdict compare.Verdict // the worst so far; Uncompared if none was judged
	Answers Verdicts        // judged
	// Production's and the application's mean time to an answer's first byte, of
	// those answers where it was measured; 0: none.
	FirstProduction, FirstApplication time.Duration
	// Routes are the session's requests without their parameters, each once,
	// the first maxRoutes of them; shared, and not to be changed.
	Routes []string
}

// ProductionState is how far production's connection was seen to have come.
type ProductionState uint8

const (
	ProductionOpening ProductionState = iota // the server has not answered the SYN
	ProductionOpen
	ProductionClosing // one side has closed
	ProductionClosed
	ProductionReset
	ProductionIdle     // nothing was captured for long, or its port was taken by another
	ProductionCaptured // the capture ended first
	ProductionUnknown  // in a report that does not tell
)

var productionNames = [...]string{"opening", "open", "closing", "closed", "reset", "idle", "cut off", ""}

func (s ProductionState) String() string { return productionNames[s] }

// ApplicationState is how far the session has come with the application.
//
//	Waiting ─▶ Connecting ─▶ Open ⇄ Held ─▶ Closing ─▶ Ended
//	                                                 └▶ Failed
type ApplicationState uint8

const (
	Waiting    ApplicationState = iota // nothing was played yet
	Connecting                         // SYN sent
	Open                               // all that was captured is played
	Held                               // there is more to be played; see Holding
	Closing                            // the client's FIN was sent
	Ended                              // played to its end, or left out
	Failed
	Unplayed // nobody plays it: what is looked at is a capture
)

var applicationNames = [...]string{"waiting", "connecting", "open", "held", "closing", "ended", "failed", ""}

func (s ApplicationState) String() string { return applicationNames[s] }

// Holding is why a session does not go on.
type Holding uint8

const (
	NotHeld    Holding = iota
	ForStart           // the application does not listen yet
	ForPause           // the run is paused
	ForTime            // its captured time has not come
	ForAnswer          // the application owes an answer
	ForClose           // the application is to close, as production had
	ForRoom            // the application does not read
	ForPort            // the client's earlier connection has not ended
	ForMessage         // no message has begun since the capture did
	ForAccept          // production has not accepted the connection
)

var holdingNames = [...]string{"", "listen", "paused", "time", "answer", "close", "not read", "port in use", "join", "no accept"}

// String returns a word or two.
func (h Holding) String() string { return holdingNames[h] }

// view looks at the player.
func (p *player) view(now time.Time) View {
	s, w := p.s, p.watched
	totals, cause := s.Totals()
	r := p.record
	v := View{
		Slot: w.slot, ID: s.ID, Copy: p.copy, Proto: s.Proto, Client: s.Client, As: p.addr, Server: s.Server, Start: s.Start, Joined: s.Joined,
		Production: productionState(s, &totals, cause), Behind: w.behind,
		Requests: p.exchanges.turnsBegun(), Captured: totals.Bytes[session.Client], Served: totals.Bytes[session.Server], Answered: w.down,
		Verdict: compare.Uncompared, Answers: r.Answers, Routes: w.routes,
	}
	if r.Requests > 0 {
		v.Verdict = r.Verdict
	}
	if r.Close == compare.Different && worst[v.Verdict] < worst[compare.Different] {
		v.Verdict = compare.Different
	}
	v.FirstProduction, v.FirstApplication = w.first[0].mean(), w.first[1].mean()
	if p.ended {
		v.State, v.Application = r.State, Failed
		v.Delivered = p.ledger[session.Delivered]
		switch r.State {
		case "finished", "filtered", "skipped":
			v.Application = Ended
		}
		return v
	}
	v.Delivered = int64(p.delivered)
	switch {
	case p.conn != nil:
		v.Delivered += int64(p.conn.Acked())
	case p.udp != nil:
		v.Delivered = int64(p.written)
	}
	v.Application, v.Held, v.Due = p.applicationState(now)
	return v
}

// productionState says how far production's connection has come.
func productionState(s *session.Session, t *session.Totals, cause session.Cause) ProductionState {
	switch cause {
	case session.Closed:
		return ProductionClosed
	case session.Reset:
		return ProductionReset
	case session.Replaced, session.Idle:
		return ProductionIdle
	case session.CaptureEnd:
		return ProductionCaptured
	}
	switch {
	case t.RST[session.Client] || t.RST[session.Server]:
		return ProductionReset
	case t.FIN[session.Client] || t.FIN[session.Server]:
		return ProductionClosing
	case s.Joined || s.Proto == session.UDP || t.Accepted || t.Bytes != [2]int64{} || t.Missing != [2]int64{}:
		return ProductionOpen
	}
	return ProductionOpening
}

// applicationState says where the session stands, and why it does not go on.
func (p *player) applicationState(now time.Time) (state ApplicationState, why Holding, due time.Time) {
	state = Open
	if p.conn == nil && !p.record.Connected && (p.udp == nil || p.udp.socket == nil) {
		state = Waiting
	}
	switch {
	case p.out:
		return Ended, NotHeld, due
	case p.connecting:
		return Connecting, NotHeld, due
	case p.fail.err != nil:
		return Failed, NotHeld, due
	case p.head >= len(p.steps):
		switch {
		case p.next != nil && (p.finSent || p.serverRST):
			return Held, ForClose, due
		case p.next != nil:
			return Held, ForAnswer, due
		case p.finSent, p.record.Reset && p.conn == nil:
			return Closing, NotHeld, due
		case state == Waiting && p.syn != nil:
			return state, ForAccept, due
		case state == Waiting && p.joining:
			return state, ForMessage, due
		}
		return state, NotHeld, due
	}
	if state == Open {
		state = Held
	}
	st := &p.steps[p.head]
	if !p.shard.begun {
		return state, ForStart, due // nobody knows when it will
	}
	due = p.dueAt(st)
	switch {
	case p.shard.cfg.Pace != nil && due.After(now):
		return state, ForTime, due
	case p.shard.engine.Paused():
		return state, ForPause, due
	case st.free: // and did not go out
		return state, ForRoom, due
	case st.SeenFIN && !p.appEOF:
		return state, ForClose, due
	case !p.closeUntil.IsZero():
		return state, ForPort, due
	}
	return state, ForAnswer, due
}
