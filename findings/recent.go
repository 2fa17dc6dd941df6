package findings

import (
	"encoding/binary"
	"hash/maphash"
	"sync"

	"tcpsandbox/compare"
)

// What differs once does so again, as a rule in the same bytes: a page that
// changed, an error. The results of late are kept by both answers, so that such
// a load costs what one of answers that are the same does: of half a kilobyte
// of text 0.4 µs instead of 5.
type recent struct {
	seed maphash.Seed

	mu sync.Mutex
	// Two generations: what was asked for is in now, or comes there from before.
	now, before map[uint64]judgement
}

// judgement is a result, which nobody changes, and where the answers differ.
type judgement struct {
	compare.Result
	spots []spot // of Different and Missing
}

func newJudgement(res compare.Result) judgement {
	j := judgement{Result: res}
	if res.Verdict == compare.Different || res.Verdict == compare.Missing {
		j.spots = spotsOf(&res)
	}
	return j
}

const (
	maxRecent = 256 // of a generation
	// maxToldAgain is how many differences a result may have to be kept, so that
	// all of them come to 2 MB at most.
	maxToldAgain = 8
)

func (m *recent) init() { m.seed, m.now = maphash.MakeSeed(), map[uint64]judgement{} }

// judge compares the answers of an exchange, or has done so before.
func (m *recent) judge(x *compare.Exchange, q compare.Question, rules *compare.Rules) judgement {
	p, a := x.Production, x.Application
	if x.Closing || x.Why != compare.Compared || x.Extra || x.Part || a == nil || p == nil ||
		!p.Kept() || !a.Kept() || compare.Same(p, a) {
		return newJudgement(x.Judge(q, rules))
	}
	key := m.key(q, p, a)
	m.mu.Lock()
	j, ok := m.now[key]
	if !ok {
		if j, ok = m.before[key]; ok {
			m.put(key, j)
		}
	}
	m.mu.Unlock()
	if ok {
		return j
	}
	j = newJudgement(x.Judge(q, rules))
	if len(j.Differences) <= maxToldAgain {
		m.mu.Lock()
		m.put(key, j)
		m.mu.Unlock()
	}
	return j
}

func (m *recent) put(key uint64, j judgement) {
	if len(m.now) == maxRecent {
		m.now, m.before = map[uint64]judgement{}, m.now
	}
	m.now[key] = j
}

// key stands for two answers to one kind of request. That two such have the
// same one by chance is less likely than an error of the memory.
func (m *recent) key(q compare.Question, p, a *compare.Answer) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	h.WriteString(q.Route)
	h.WriteByte(0)
	h.WriteString(q.Method)
	var n [11]byte
	for i, is := range []bool{q.HTTP, p.Complete, a.Complete} {
		if is {
			n[i] = 1
		}
	}
	binary.LittleEndian.PutUint64(n[3:], uint64(p.Len))
	h.Write(n[:])
	h.Write(p.Head)
	h.Write(a.Head)
	return h.Sum64()
}
