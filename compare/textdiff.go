package compare

import (
	"hash/maphash"
	"slices"
)

// sumLines returns a number for each line that stands for its text.
func sumLines(ls []textLine) []uint64 {
	sums := make([]uint64, len(ls))
	for i, l := range ls {
		sums[i] = maphash.Bytes(seed, l.text)
	}
	return sums
}

// lineMatch says that two lines are the same, by their index.
type lineMatch struct{ a, b int }

// maxEdits is how many lines more and less a diff may come to. It bounds the
// diff's memory, 256 KiB, and time, 2 ms for 2,000 lines each.
const maxEdits = 256

// matchLines returns the longest list of lines that both have in the same
// order; of texts that are too far apart, the lines that have the same index
// in both. It is the greedy algorithm of E. W. Myers, An O(ND) Difference
// Algorithm and Its Variations (1986), §4: reach[k] is how far in a one gets
// with so many edits on diagonal k, where index in a minus index in b is k.
func matchLines(a, b []uint64) []lineMatch {
	inBoth := common(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	if len(a)+len(b)-2*inBoth > maxEdits {
		return sameIndex(a, b)
	}
	var reach [2*maxEdits + 3]int32
	const middle = maxEdits + 1
	var trace [][]int32 // reach before each edit, diagonals -edits to edits
	for edits := range maxEdits + 1 {
		trace = append(trace, slices.Clone(reach[middle-edits:middle+edits+1]))
		for k := -edits; k <= edits; k += 2 {
			x := reach[middle+k-1] + 1 // a line less
			if k == -edits || k != edits && reach[middle+k-1] < reach[middle+k+1] {
				x = reach[middle+k+1] // a line more
			}
			if edits == 0 {
				x = 0
			}
			y := x - int32(k)
			for int(x) < len(a) && int(y) < len(b) && a[x] == b[y] {
				x, y = x+1, y+1
			}
			reach[middle+k] = x
			if int(x) >= len(a) && int(y) >= len(b) {
				return matchesOf(trace, a, b)
			}
		}
	}
	return sameIndex(a, b)
}

// matchesOf walks the edits back from the end of a and b.
func matchesOf(trace [][]int32, a, b []uint64) []lineMatch {
	var matches []lineMatch
	x, y := len(a), len(b)
	for edits := len(trace) - 1; edits >= 0; edits-- {
		fromX, fromY := 0, 0
		if edits > 0 {
			before := func(k int) int { return int(trace[edits][k+edits]) }
			k := x - y
			from := k - 1
			if k == -edits || k != edits && before(k-1) < before(k+1) {
				from = k + 1
			}
			fromX = before(from)
			fromY = fromX - from
		}
		startX, startY := fromX, fromY // of the lines that follow the edit
		if edits > 0 {
			if x-y > fromX-fromY {
				startX++
			} else {
				startY++
			}
		}
		for x > startX && y > startY {
			x, y = x-1, y-1
			matches = append(matches, lineMatch{x, y})
		}
		x, y = fromX, fromY
	}
	slices.Reverse(matches)
	return matches
}

func sameIndex(a, b []uint64) (matches []lineMatch) {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			matches = append(matches, lineMatch{i, i})
		}
	}
	return matches
}
