package findings

// MaxMemory is what a Run takes at most if it may, about, in bytes: a third of
// it for routes, the rest for what differs.
const MaxMemory = 64 << 20

// bounds is what bounds a Run according to the memory it is given. An
// application that names each value anew would fill any.
type bounds struct {
	routes     int // more are put together as otherRoutes; one costs 4 to 40 KB, according to its answers
	places     int // of all routes, in bytes; others are not counted apart
	signatures int // their places, in bytes; others are put together by route
	told       int // the differences of all examples, in bytes; others have one each
	bodies     int // the bodies of all examples, in bytes; others have none
	findings   int // of all points of the series, at some 40 bytes; with more each two points become one
}

func boundsOf(memory int64) bounds {
	share := 1.0
	if memory > 0 && memory < MaxMemory {
		share = float64(memory) / MaxMemory
	}
	of := func(most int) int { return int(share * float64(most)) }
	return bounds{
		routes: max(of(1000), 50), places: of(8 << 20), signatures: of(8 << 20), told: of(8 << 20), bodies: of(8 << 20),
		findings: max(of(100_000), 5000),
	}
}
