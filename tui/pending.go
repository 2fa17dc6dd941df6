package tui

import (

	"tcpsandbox/replay"
	"tcpsandbox/report"
)

type detail struct{ cursor }

func (d *detail) loading(replay.View)                       {}
func (d *detail) set(*Story)                                {}
func (d *detail) nextDifference(int) bool                   { return false }
func (d *detail) selectedExchange() (int, bool)             { return 0, true }
func (d *detail) toggleFacts()                              {}
func (d *detail) view(w, h int, st styles, f bool) []string { return filled(nil, w, h) }

type answers struct {
	cursor
	mode int
}

func (a *answers) set(*Explanation)                          {}
func (a *answers) setGroup(*report.Group)                    {}
func (a *answers) nextDifference(int) bool                   { return false }
func (a *answers) sideways(int)                              {}
func (a *answers) nextMode()                                 {}
func (a *answers) toggleRequest()                            {}
func (a *answers) view(w, h int, st styles, f bool) []string { return filled(nil, w, h) }

func ms(d report.Milliseconds) float64 { return float64(d) / 1e6 }
