package report

// Which parts of two texts are the same: for the page, and for the terminal.
//
//	AlignLines what is beside what, of lines; those that changed beside the most alike
//	Align      what is beside what
//	matches    what is equal: the common ends, and what between finds
//	between    exactly, by a table, or if that were too large
//	anchors    roughly, by what both have equally often, and again around each

import (
	"slices"
	"sort"
)

const (
	// matchLimit bounds the table in which equal parts are looked for, n parts
	// against m. 1 M cells take some 3 ms and 4 MB.
	matchLimit = 1 << 20
	// anchorDepth is how often what lies between two anchors is divided by
	// anchors again. Real texts need two.
	anchorDepth = 6
	// likeLimit bounds the table in which lines that changed are paired, n
	// against m, and likeBytes how much of each is looked at. 64 lines against 64
	// take 0.6 ms, and 10,000 against 10,000 in such runs 100 ms.
	likeLimit = 1 << 12
	likeBytes = 256
)

// Aligned says what of production's text is beside what of the application's,
// each by its index. Where one side has nothing it is -1.
type Aligned struct {
	Production, Application int
	Same                    bool
}

// AlignLines is Align for lines, of which those that differ are set beside the
// line of the other side that they are most like, in their order.
func AlignLines(production, application []string) []Aligned {
	aligned := Align(production, application)
	all := make([]Aligned, 0, len(aligned))
	for from := 0; from < len(aligned); {
		to := from
		for to < len(aligned) && !aligned[to].Same {
			to++
		}
		if to == from {
			all = append(all, aligned[from])
			from++
			continue
		}
		all = alike(all, aligned[from:to], production, application)
		from = to
	}
	return all
}

// alike appends what differs, a run of it, with the lines that are most alike
// beside each other. If they are as many on both sides, they stay as they are.
func alike(all, differ []Aligned, production, application []string) []Aligned {
	var p, a []int
	for _, x := range differ {
		if x.Production >= 0 {
			p = append(p, x.Production)
		}
		if x.Application >= 0 {
			a = append(a, x.Application)
		}
	}
	if len(p) == len(a) || len(p) == 0 || len(a) == 0 || len(p)*len(a) > likeLimit {
		return append(all, differ...)
	}
	// best[i*w+j] is how alike p[i:] and a[j:] are at best.
	w := len(a) + 1
	best, beside := make([]int, (len(p)+1)*w), make([]int, len(p)*w)
	for i := len(p) - 1; i >= 0; i-- {
		for j := len(a) - 1; j >= 0; j-- {
			beside[i*w+j] = best[(i+1)*w+j+1] + likeness(production[p[i]], application[a[j]])
			best[i*w+j] = max(beside[i*w+j], best[(i+1)*w+j], best[i*w+j+1])
		}
	}
	i, j := 0, 0
	for i < len(p) || j < len(a) {
		x := Aligned{-1, -1, false}
		both := i < len(p) && j < len(a)
		pair := both && beside[i*w+j] == best[i*w+j]
		onlyP := j == len(a) || both && !pair && best[(i+1)*w+j] == best[i*w+j]
		if pair || onlyP {
			x.Production, i = p[i], i+1
		}
		if pair || !onlyP {
			x.Application, j = a[j], j+1
		}
		all = append(all, x)
	}
	return all
}

// likeness says how much of two lines is the same at their ends, from 1 to 101:
// beside each other they take less room than one below the other.
func likeness(p, a string) int {
	p, a = p[:min(len(p), likeBytes)], a[:min(len(a), likeBytes)]
	begin := 0
	for begin < min(len(p), len(a)) && p[begin] == a[begin] {
		begin++
	}
	end := 0
	for end < min(len(p), len(a))-begin && p[len(p)-1-end] == a[len(a)-1-end] {
		end++
	}
	return 1 + 100*(begin+end)/max(1, len(p), len(a))
}

// Align sets two texts side by side, given in parts, such as lines or words: each
// part of both, once and in order. As many as can be are beside their equal; of
// the others, the n-th is beside the n-th until the next that are equal.
//
// It takes time for what is long in proportion to its length: 10,000 lines
// against 10,000 take 4 to 32 ms on one core (BenchmarkAlign). Then what it finds
// need not be the most there is.
func Align(production, application []string) []Aligned {
	numbers := make(map[string]int32, len(production))
	numbered := func(parts []string) []int32 {
		all := make([]int32, len(parts))
		for i, part := range parts {
			n, known := numbers[part]
			if !known {
				n = int32(len(numbers))
				numbers[part] = n
			}
			all[i] = n
		}
		return all
	}
	p, a := numbered(production), numbered(application)
	all := make([]Aligned, 0, max(len(p), len(a)))
	i, j := 0, 0
	for _, m := range append(matches(p, a, anchorDepth), match{len(p), len(a)}) {
		for i < m.p || j < m.a { // these differ
			x := Aligned{-1, -1, false}
			if i < m.p {
				x.Production, i = i, i+1
			}
			if j < m.a {
				x.Application, j = j, j+1
			}
			all = append(all, x)
		}
		if i < len(p) && j < len(a) {
			all = append(all, Aligned{i, j, true})
			i, j = i+1, j+1
		}
	}
	return all
}

// match says that a part of production's is one of the application's.
type match struct{ p, a int }

// matches returns a common subsequence, in order. What the texts begin and end
// with in common is always in it.
func matches(p, a []int32, depth int) (all []match) {
	begin := 0
	for begin < min(len(p), len(a)) && p[begin] == a[begin] {
		all = append(all, match{begin, begin})
		begin++
	}
	end := 0
	for end < min(len(p), len(a))-begin && p[len(p)-1-end] == a[len(a)-1-end] {
		end++
	}
	for _, m := range between(p[begin:len(p)-end], a[begin:len(a)-end], depth) {
		all = append(all, match{begin + m.p, begin + m.a})
	}
	for i := range end {
		all = append(all, match{len(p) - end + i, len(a) - end + i})
	}
	return all
}

// between is a common subsequence of texts that neither begin nor end in common:
// the longest one, unless they are too long for the table.
func between(p, a []int32, depth int) (all []match) {
	if len(p)*len(a) > matchLimit {
		if depth > 0 {
			if found := anchors(p, a); len(found) > 0 {
				return around(found, p, a, depth-1)
			}
		}
		for i := range min(len(p), len(a)) {
			if p[i] == a[i] {
				all = append(all, match{i, i})
			}
		}
		return all
	}
	// longest[i*w+j] is its length in p[i:] and a[j:].
	w := len(a) + 1
	longest := make([]int32, (len(p)+1)*w)
	for i := len(p) - 1; i >= 0; i-- {
		for j := len(a) - 1; j >= 0; j-- {
			if p[i] == a[j] {
				longest[i*w+j] = longest[(i+1)*w+j+1] + 1
			} else {
				longest[i*w+j] = max(longest[(i+1)*w+j], longest[i*w+j+1])
			}
		}
	}
	for i, j := 0, 0; i < len(p) && j < len(a); {
		switch {
		case p[i] == a[j]:
			all = append(all, match{i, j})
			i, j = i+1, j+1
		case longest[(i+1)*w+j] >= longest[i*w+j+1]:
			i++
		default:
			j++
		}
	}
	return all
}

// around adds what matches between the anchors.
func around(found []match, p, a []int32, depth int) (all []match) {
	i, j := 0, 0
	for _, m := range append(found, match{len(p), len(a)}) {
		for _, inner := range matches(p[i:m.p], a[j:m.a], depth) {
			all = append(all, match{i + inner.p, j + inner.a})
		}
		if m.p < len(p) && m.a < len(a) {
			all = append(all, m)
		}
		i, j = m.p+1, m.a+1
	}
	return all
}

// anchors pairs what both texts have equally often, the n-th with the n-th, and
// returns the most such pairs that are in the same order in both. What is there
// once is the usual case; but a long list of small numbers has no such lines.
func anchors(p, a []int32) (all []match) {
	where := make(map[int32][]int, len(p)) // in production's
	for i, n := range p {
		where[n] = append(where[n], i)
	}
	surplus := make(map[int32]int, len(where)) // how much oftener it is in the application's
	for n, at := range where {
		surplus[n] = -len(at)
	}
	for _, n := range a {
		surplus[n]++
	}
	// The longest increasing run of production's indexes: tails[k] is the pair
	// that a run of k+1 ends with at the least; before links the runs.
	var pairs []match
	var before, tails []int
	for j, n := range a {
		at := where[n]
		if len(at) == 0 || surplus[n] != 0 {
			continue
		}
		where[n] = at[1:]
		k := sort.Search(len(tails), func(k int) bool { return pairs[tails[k]].p > at[0] })
		previous := -1
		if k > 0 {
			previous = tails[k-1]
		}
		pairs, before = append(pairs, match{at[0], j}), append(before, previous)
		if k == len(tails) {
			tails = append(tails, 0)
		}
		tails[k] = len(pairs) - 1
	}
	if len(tails) == 0 {
		return nil
	}
	for k := tails[len(tails)-1]; k >= 0; k = before[k] {
		all = append(all, pairs[k])
	}
	slices.Reverse(all)
	return all
}
