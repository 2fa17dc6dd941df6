package compare

import "bytes"

// Parts compares the application's answer with the beginning of production's,
// where nobody knows how that went on: the capture ended in it, or the client
// reset the connection. It judges as far as production's part goes.
//
// As long as that are Identical. An application that sent more may be as right
// as one that did not: Uncompared. One that sent less did not send what
// production did, which Answers judges; unless cut says that its answer, too,
// was ended from outside. An answer that differs in what both have is
// Different.
//
// Neither argument is changed or kept.
func Parts(production, application *Answer, cut bool) Result {
	if equal(production, application) {
		return Result{Verdict: Identical}
	}
	n := min(len(production.Head), len(application.Head))
	switch {
	case !bytes.Equal(production.Head[:n], application.Head[:n]), application.Len == production.Len:
		return Result{Verdict: Different, Differences: []Difference{whole(production, application)}}
	case application.Len > production.Len, cut:
		return Result{Verdict: Uncompared}
	case application.Len == 0:
		return Result{Verdict: Missing}
	}
	return Result{Verdict: Different, Differences: []Difference{whole(production, application)}}
}
