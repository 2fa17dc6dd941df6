package compare

// Ending is what a server did about the end of a connection.
type Ending uint8

const (
	EndUnknown  Ending = iota // not captured, or the run did not get so far
	KeptOpen                  // it kept the connection open as long as the client did, or the capture lasted
	ClosedFirst               // it closed before the client did
	ClosedAfter               // it closed when the client had
	EndReset                  // it reset the connection
)

var endingNames = [...]string{"unknown", "kept open", "closed before the client", "closed after the client", "reset"}

// String returns the words that reports use.
func (e Ending) String() string { return endingNames[e] }

// closes are the names of what the application did otherwise about the end.
var closes = []string{"early", "late", "missing", "reset", "not reset"}

// Close compares how the two sides ended a connection: Identical, Different or
// Uncompared. The places, all of Kind InClose, say what the application did:
// "early", "late" (only when the client had), "missing", "reset", "not reset".
func Close(production, application Ending, rules *Rules) Result {
	name := ""
	switch { // the names are those of closes
	case production == EndUnknown, application == EndUnknown,
		production == KeptOpen && application == ClosedAfter:
		return Result{Verdict: Uncompared, Why: NotCaptured}
	case production == application:
		return Result{Verdict: Identical}
	case application == EndReset:
		name = "reset"
	case application == KeptOpen:
		name = "missing"
	case production == EndReset:
		name = "not reset"
	case application == ClosedFirst:
		name = "early"
	default:
		name = "late"
	}
	f := found{rules: rules, route: CloseRoute}
	f.add(Difference{Place: Place{InClose, name}, Production: []byte(production.String()), Application: []byte(application.String())})
	return f.result()
}

// CloseRoute is the route of what differs in the connections' ends.
const CloseRoute = "connection"
