package main

import (
	"fmt"
	"time"
)

// starved is what to say of a run that stood back, by how long its threads have
// run and how long they have waited for a processor: the application waits as they do,
// and then its latencies are not its own. "" where that is not worth a word. In demo,
// on two processors beside a test suite, they waited for 3 to 20 times as long as they
// ran, and the application's p99 was 7 to 470 ms.
func starved(ran, waited time.Duration) string {
	if waited < 2*ran || waited < time.Second/2 {
		return ""
	}
	return fmt.Sprintf("too little of the processors was left for a live run, which stands back behind all others: its threads waited %v for the %v that they got, and so did the application, unless it took the rest: its latencies, and answers that came too late, may be for that alone",
		waited.Round(10*time.Millisecond), ran.Round(10*time.Millisecond))
}
