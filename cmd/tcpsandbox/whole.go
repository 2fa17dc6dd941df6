package main

import (
	"context"
	"net/netip"

	"tcpsandbox/capture"
	"tcpsandbox/replay"
	"tcpsandbox/session"
)

// wholeSessions decides for --only-complete. Of a live session nobody knows
// how it will go on, only whether its beginning was captured. A file can be
// read twice: first to learn what lacks an end, or bytes of its client.
type wholeSessions struct {
	partial map[sessionKey]struct{}
}

// sessionKey tells a session of a file from all others.
type sessionKey struct {
	client, server netip.AddrPort
	start          int64
}

func keyOf(s *session.Session) sessionKey { return sessionKey{s.Client, s.Server, s.Start.UnixNano()} }

// has reports whether a session is to be played.
func (w *wholeSessions) has(s *session.Session) bool {
	_, partial := w.partial[keyOf(s)]
	return !partial && !s.Joined
}

// read goes through a file and notes the sessions that are not whole. Of those
// only a key is kept.
func (w *wholeSessions) read(ctx context.Context, src capture.Source, asm *capture.Assembler) error {
	if w.partial == nil {
		w.partial = map[sessionKey]struct{}{}
	}
	note := func(batch []*session.Session) {
		for _, s := range batch {
			s.Take(nil)
			if t, why := s.Totals(); why != session.Live && !replay.Whole(s, t) {
				w.partial[keyOf(s)] = struct{}{}
			}
		}
	}
	err := src.Run(ctx, func(batch []capture.Packet) error {
		note(asm.Packets(batch))
		return nil
	})
	note(asm.Flush())
	return err
}
