package tui

import (
	"fmt"
	"time"

	"tcpsandbox/replay"
	"tcpsandbox/report"
)

const filterHelp = ""

type sessions struct {
	cursor
	rows []replay.View
	text string
}

func (s *sessions) apply(v []replay.View) { s.rows = append(s.rows, v...); s.of(len(s.rows)) }
func (s *sessions) selected() (replay.View, bool) {
	if s.at < len(s.rows) {
		return s.rows[s.at], true
	}
	return replay.View{}, false
}
func (s *sessions) sortBy(int)                      {}
func (s *sessions) reverse()                        {}
func (s *sessions) toggleFollow()                   {}
func (s *sessions) filter(t string) error           { s.text = t; return nil }
func (s *sessions) filterText() string              { return s.text }
func (s *sessions) choose(id uint64, copy int) bool { return false }
func (s *sessions) view(w, h int, st styles, f bool, now time.Time) []string {
	var all []string
	for _, r := range s.rows {
		all = append(all, fit(fmt.Sprint(r.ID, r.Client, r.Application, r.Held, r.Verdict), w))
	}
	return filled(all, w, h)
}

func ms(d report.Milliseconds) float64 { return float64(d) / 1e6 }
