// Package protocol says where a message begins and ends.
//
// A Framer follows the three streams of one replayed session: what
// production's client sent, what production answered, and what the
// application answered. The player asks it whether the application's answers
// are complete, compare asks it where one answer ends and the next begins, and
// a joined session asks it where it may start. HTTP/1 has a framer of its own;
// for everything else Raw knows of no boundary at all.
package protocol

// Stream names one of the three streams that a Framer follows.
type Stream uint8

const (
	Requests    Stream = iota // what production's client sent
	Production                // what production answered
	Application               // what the application answered

	streams
)

// Mark is what Feed met at the place where it stopped.
type Mark uint8

const (
	More    Mark = iota // all of p is used and the message goes on
	End                 // a message ends here
	Interim             // an interim answer ends here (HTTP 1xx); the final one is still to come
)

// Framer follows one session. It is not safe for concurrent use; feed the
// requests before the answers to them, as they happened.
type Framer interface {
	// Name is the protocol's name in reports: "http1", "raw".
	Name() string
	// Feed reads p, the next bytes of a stream, up to and including the end
	// of the message at hand: it returns how many bytes it used (all of p when
	// the mark is More, at least one otherwise) and what it met. It keeps no
	// reference to p.
	Feed(s Stream, p []byte) (n int, m Mark)
	// Close tells that a stream has ended. It returns End if that completes
	// a message (an answer that lasts until the close), else More.
	Close(s Stream) Mark
	// InSync reports whether the framer still knows where the messages of a
	// stream begin and end: false before anything it cannot parse, after an
	// upgrade to another protocol, and always for Raw. Feed then uses all of
	// p and returns More.
	InSync(s Stream) bool
	// Open reports whether a stream stands inside a message: some of it was
	// fed and its end was not. It is false where the stream is out of sync.
	Open(s Stream) bool
	// Start returns the offset in p, taken from the middle of the client's
	// stream, of the first place at which a message begins, or -1. It neither
	// uses nor changes what Feed knows.
	Start(p []byte) int
}
