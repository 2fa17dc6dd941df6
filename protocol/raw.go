package protocol

// raw is the framer of everything that has none of its own. It has no state.
type raw struct{}

// NewRaw returns the framer that knows of no boundary: it is never in sync,
// never inside a message and finds no place to start at. It may be shared.
func NewRaw() Framer { return raw{} }

func (raw) Name() string                        { return "raw" }
func (raw) Feed(_ Stream, p []byte) (int, Mark) { return len(p), More }
func (raw) Close(Stream) Mark                   { return More }
func (raw) InSync(Stream) bool                  { return false }
func (raw) Open(Stream) bool                    { return false }
func (raw) Start([]byte) int                    { return -1 }
