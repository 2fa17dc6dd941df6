package replay

import (
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/session"
)

// How a UDP flow ends: played, cut short, or shed.

// over reports whether the application has given all answers, or has been
// waited for. What production did not answer it might: it gets a moment.
func (d *datagrams) over(now time.Time) bool {
	p, x, cfg := d.player, &d.player.exchanges, d.player.shard.cfg
	if d.socket == nil || p.fail.err != nil {
		return true
	}
	wait := cfg.MinQuiet
	if x.app < x.prod && !d.denied() {
		wait = d.patience()
	}
	if silence := now.Sub(p.lastActivity()); silence < wait {
		p.shard.timers.set(p, now.Add(wait-silence))
		return false
	}
	return true
}

// unsent tells that the next so many steps will not be sent: the answers that
// came after them, as far as that tells whose they are, are not to be judged.
func (d *datagrams) unsent(steps int) {
	p, x := d.player, &d.player.exchanges
	if steps == 0 {
		return
	}
	from, to := int(p.steps[p.head].Seen), x.prod
	if next := p.head + steps; next < len(p.steps) {
		to = int(p.steps[next].Seen)
	} else {
		d.asked = false
	}
	for n := from; n < to; n++ {
		if e := x.at(n); e != nil && !e.appDone {
			e.sent = false
		}
	}
}

// conclude judges what is left.
func (d *datagrams) conclude() {
	p, x := d.player, &d.player.exchanges
	d.giveUp(x.prod)
	// Answers are left that production did not give. Where the capture ended
	// before production answered, or has only the client's side, or something
	// was shed, nobody knows.
	known := p.serverHeard && !(p.cause == session.CaptureEnd && d.first) && !p.record.Shed
	for len(x.queue) > 0 {
		e := x.queue[0]
		e.extra = known && e.appDone && !e.prodDone
		x.verdict(e)
		x.pop()
	}
}

// finish ends a flow whose record is played.
func (d *datagrams) finish() {
	d.conclude()
	p := d.player
	datagrams, _ := d.refusals()
	state := "finished"
	switch {
	case p.fail.err != nil:
		state = p.fail.fate.String()
	case p.out:
		state = p.outFate().String()
	case !p.record.Connected && !p.until.IsZero():
		state = "filtered"
	case p.ledger[session.Shed] > 0:
		state = session.Shed.String()
	case p.ledger[session.Pending] > 0:
		state = session.Pending.String()
	case !p.record.Connected:
		state = "skipped"
	case datagrams > 0:
		state = session.Refused.String()
	case p.record.Requests > 0 && p.record.Verdict == compare.Missing:
		state = "unanswered"
	}
	d.end(state)
}

// cutShort ends a flow because the run is over.
func (d *datagrams) cutShort(now time.Time) {
	p := d.player
	d.receive(now)
	d.unsent(len(p.steps) - p.head)
	fate := session.Pending
	if p.fail.err != nil {
		fate = p.fail.fate
	}
	for ; p.head < len(p.steps); p.pop() {
		p.drop(&p.steps[p.head], fate)
	}
	d.finish()
}

// shed drops all that the player holds. The flow goes on with what comes.
func (d *datagrams) shed() {
	p, x := d.player, &d.player.exchanges
	p.shedWhy(ShedMemory)
	for ; p.head < len(p.steps); p.pop() {
		p.drop(&p.steps[p.head], session.Shed)
	}
	for len(x.queue) > 0 {
		x.queue[0].gone = true
		x.verdict(x.queue[0])
		x.pop()
	}
	x.app = x.prod
	d.asked = false
}

// excuse tells that answers which are awaited now may not come, for no fault of
// the application's: they are not compared.
func (d *datagrams) excuse() {
	p, x := d.player, &d.player.exchanges
	to := x.prod
	if p.head < len(p.steps) {
		to = int(p.steps[p.head].Seen) // later ones were not asked for yet
	}
	for n := x.app; n < to && d.open > 0; n++ {
		if e := x.at(n); e != nil {
			e.gone = true
		}
	}
}

func (d *datagrams) refusals() (datagrams, bytes uint64) {
	if d.socket == nil {
		return 0, 0
	}
	return d.socket.Refused()
}

// end closes the books on the flow.
func (d *datagrams) end(state string) {
	p := d.player
	datagrams, bytes := d.refusals()
	p.written -= bytes
	p.ledger[session.Refused] += int64(bytes)
	p.record.Datagrams, p.record.DatagramsRefused = int64(d.sent), int64(datagrams)
	if d.socket != nil {
		d.socket.Close()
		d.socket = nil
	}
	p.end(state, p.written)
}
