package main

import (
	"context"

	"tcpsandbox/capture"
	"tcpsandbox/capture/expr"
)

// filtered is a source of which only the packets are used that match an
// expression in tcpdump's language, as `tcpdump -r FILE EXPR` would pick them:
// by the outermost headers, inside tunnels nothing is looked at.
type filtered struct {
	capture.Source
	expr   *expr.Filter
	tagged []byte
	known  map[capture.LinkType]error // what expr.Check says
}

// withFilter returns src itself where there is no expression.
func withFilter(src capture.Source, f *expr.Filter) capture.Source {
	if f == nil || src == nil {
		return src
	}
	return &filtered{Source: src, expr: f, known: map[capture.LinkType]error{}}
}

// Run implements capture.Source. An expression that means nothing for packets
// of this kind ends it.
func (s *filtered) Run(ctx context.Context, fn func([]capture.Packet) error) error {
	return s.Source.Run(ctx, func(batch []capture.Packet) error {
		kept := batch[:0]
		for i := range batch {
			ok, err := s.match(&batch[i])
			if err != nil {
				return err
			}
			if ok {
				kept = append(kept, batch[i])
			}
		}
		return fn(kept)
	})
}

func (s *filtered) match(p *capture.Packet) (bool, error) {
	err, ok := s.known[p.Link]
	if !ok {
		err = s.expr.Check(uint16(p.Link))
		s.known[p.Link] = err
	}
	if err != nil {
		return false, err
	}
	match, err := s.expr.Match(p.Data, p.OrigLen, uint16(p.Link))
	if match || err != nil || p.VLAN == 0 || p.Link != capture.LinkEthernet || len(p.Data) < 12 {
		return match, err
	}
	// On an interface the kernel takes the tag off: an expression may mean the
	// packet with it, or, as most do, the one without.
	s.tagged = append(append(append(s.tagged[:0], p.Data[:12]...), 0x81, 0, byte(p.VLAN>>8), byte(p.VLAN)), p.Data[12:]...)
	return s.expr.Match(s.tagged, p.OrigLen+4, uint16(p.Link))
}

// parseFilter reads an expression; "" is none.
func parseFilter(text string) (*expr.Filter, error) {
	if text == "" {
		return nil, nil
	}
	return expr.Parse(text)
}
