package session

import "time"

// Kind is what an event is.
type Kind uint8

const (
	Open Kind = iota // SYN of the client, SYN+ACK of the server
	Data             // bytes of the side's stream, in order, each byte once
	FIN              // the side sends nothing any more
	RST              // the side reset the connection
	Gap              // bytes of the side's stream that were never captured
)

var kindNames = [...]string{"open", "data", "FIN", "RST", "gap"}

// String returns the word that reports use.
func (k Kind) String() string { return kindNames[k] }

// Event is one thing that one side did. The events of one side are in the
// order of its stream; between the sides they are in the order of capture.
type Event struct {
	Kind Kind
	Side Side
	// SeenFIN: on an event of the client, it had acknowledged the server's FIN.
	SeenFIN bool
	// At is the offset from Session.Start, from the packet's own timestamp.
	At time.Duration
	// Data holds the bytes of a Data event; read-only.
	Data []byte
	// Missing is the length of a Gap, in bytes.
	Missing int64
	// Before and Behind, on a Gap of the client: the server was seen to speak
	// when it had all of the client's stream up to the gap's beginning, or its
	// end, and no more. A turn of the client's ended there.
	Before, Behind bool
	// Seen, on an event of the client, is how many bytes of the server's
	// stream it had acknowledged in the packet that carried this: the answer
	// bytes that caused what the client did (RFC 9293 §3.4, the ACK number less
	// the server's initial sequence number less one; a FIN does not count).
	// In a joined session it counts from the first byte of the server's that
	// the client had not acknowledged when it was first seen.
	Seen uint64
}
