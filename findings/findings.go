// Package findings adds up what the comparisons of a run come to: answers by
// verdict and by route, what they differ in, how long they took, and which of
// the differences are noise.
//
// In flow exchanges, through Judge, which compares them by the rules, and
// Baseline, which does the same with the answers of the old version; out comes
// a Summary. In between stand
//
//	routes.go   requests of one kind: "GET /users/{id}"
//	groups.go   equal differences, counted, with an example
//	noise.go    what the old version differs in, too
//	latency.go  how long answers took, by route and in all
//	series.go   all that over time
//
// Memory is bounded however long the run is: see the constants. All methods
// may be called by several goroutines at once.
package findings
