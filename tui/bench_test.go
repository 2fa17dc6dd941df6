package tui

import (
	"fmt"
	"slices"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"tcpsandbox/report"
)

// bigScreen is one of 200 by 60 with 100,000 sessions that have ended, 5,000 that have
// not, and full lists, in colours.
func bigScreen(tb testing.TB) (*Model, *fakeSource) {
	src := shopRun()
	m := newModel(Options{Source: src, Control: src, Keeper: src})
	s := src.Poll()
	shown := s.Sessions
	for i := len(shown); i < 105_000; i++ {
		v := shown[5+i%30]
		v.Slot, v.ID = i, uint64(i+1)
		if i%21 == 0 {
			v.Application, v.State = shown[3].Application, ""
		}
		s.Sessions = append(s.Sessions, v)
	}
	for i := range 500 {
		s.Findings.Groups = append(s.Findings.Groups, report.Group{Request: fmt.Sprintf("GET /items/%d", i), Places: []string{"$.price", "$.stock"}, Count: int64(i), Session: uint64(i)})
		s.Egress = append(s.Egress, report.Egress{Proto: "tcp", Dst: fmt.Sprintf("203.0.113.%d", i%250), Port: 443, Packets: int64(i), Policy: "drop", Name: "billing.example"})
		s.Log = append(s.Log, Line{At: epoch, From: "app", Text: fmt.Sprintf("GET /items/%d took 12 ms", i)})
	}
	m.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
	m.Update(snapshotMsg(s))
	if m.sessions.rows.total != 105_000 {
		tb.Fatal("sessions are missing")
	}
	return m, src
}

// What a frame costs, by tab and by what is open.
func BenchmarkDraw(b *testing.B) {
	for _, c := range []struct {
		name string
		keys []string
	}{
		{"sessions", nil}, {"differences", []string{"2"}}, {"egress", []string{"3"}}, {"log", []string{"4", "up"}}, {"ledger", []string{"5"}},
		{"session", []string{"down", "enter"}}, {"answers", []string{"down", "enter", "]", "enter"}}, {"help", []string{"?"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			m, _ := bigScreen(b)
			for _, key := range c.keys {
				_, cmd := m.Update(keyNamed(key))
				if cmd != nil {
					m.Update(cmd())
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if len(m.draw()) != 60 {
					b.Fatal("lines are missing")
				}
			}
		})
	}
}

// What a snapshot costs in which 5,000 sessions have changed.
func BenchmarkTake(b *testing.B) {
	m, src := bigScreen(b)
	s := src.Poll()
	for slot := range 5000 {
		s.Sessions = append(s.Sessions, m.sessions.rows.view(slot*21))
	}
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		s.At = s.At.Add(100 * time.Millisecond)
		s.Sessions = slices.Clone(s.Sessions)
		for i := range s.Sessions {
			s.Sessions[i].Delivered += int64(n)
		}
		m.Update(snapshotMsg(s))
	}
}
