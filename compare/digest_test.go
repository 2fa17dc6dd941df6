package compare

import (
	"math/rand/v2"
	"testing"
)

// zeros are leaves of nought bytes, but for the one at a place.
func zeros(d *digest, leaves int, size int64, change int64) {
	d.reset()
	var leaf [leafSize]byte
	write := func(p []byte) {
		if at := change - d.len; at >= 0 && at < int64(len(p)) {
			p[at] = 1
			d.write(p)
			p[at] = 0
			return
		}
		d.write(p)
	}
	for range leaves {
		write(leaf[:])
	}
	write(leaf[:size])
}

func TestDigest(t *testing.T) {
	const none = -1
	var p, a digest
	for _, tt := range []struct {
		name        string
		leavesP     int
		sizeP       int64
		leavesA     int
		sizeA       int64
		change      int64 // of a's bytes
		block, size int64 // what is left to be searched: from this leaf on, in bytes
		same        bool
	}{
		{"empty", 0, 0, 0, 0, none, 0, leafSize, true},
		{"same", 300, 5, 300, 5, none, 0, 0, true},
		{"one has more", 0, 0, 0, 1, none, 0, 1, false},
		{"in the last leaf", 3, 5, 3, 5, 3*leafSize + 4, 3, 5, false},
		{"in the first leaf", 3, 5, 3, 5, 0, 0, leafSize, false},
		{"in the second leaf", 3, 5, 3, 9, leafSize, 1, leafSize, false},
		{"longer", 3, 5, 4, 5, none, 3, 6, false},
		{"the list is full", 256, 0, 256, 0, 255 * leafSize, 255, leafSize, false},
		{"the list is more than full", 257, 0, 257, 0, 255 * leafSize, 254, 2 * leafSize, false},
		{"one list is full", 257, 0, 256, 0, 255 * leafSize, 254, 2 * leafSize, false},
		{"one list is full, the same before", 257, 0, 256, 0, none, 256, 1, false},
		{"waiting for the right", 1001, 0, 1001, 0, 1000 * leafSize, 1000, leafSize, false},
		{"waiting on two levels", 1003, 7, 1003, 7, 1001 * leafSize, 1000, 2 * leafSize, false},
		{"lists of different levels", 1003, 7, 200, 7, 190 * leafSize, 188, 4 * leafSize, false},
		{"32 and 4 MiB", 32 << 4, 0, 4 << 4, 0, 1 << 20, 16, 2 * leafSize, false},
	} {
		zeros(&p, tt.leavesP, tt.sizeP, none)
		zeros(&a, tt.leavesA, tt.sizeA, tt.change)
		from, until, same := p.first(&a)
		back, end, _ := a.first(&p)
		if same != tt.same || from != back || until != end {
			t.Errorf("%s: %d to %d, same %v; the other way round %d to %d", tt.name, from, until, same, back, end)
		}
		if tt.same {
			continue
		}
		if tt.change != none && (tt.change < from || tt.change >= until) {
			t.Errorf("%s: %d to %d, and it is at %d", tt.name, from, until, tt.change)
		}
		if from != tt.block*leafSize || until-from != tt.size {
			t.Errorf("%s: %d bytes from %d on are left, want %d from leaf %d on", tt.name, until-from, from, tt.size, tt.block)
		}
	}
}

// 1 GiB is told apart to 4 MiB, in memory that does not grow.
func TestDigestOfGigabyte(t *testing.T) {
	if testing.Short() {
		t.Skip("digests 2 GiB")
	}
	const size, change = 1 << 30, 777_777_777
	var p, a digest
	zeros(&p, size/leafSize, 0, -1)
	zeros(&a, size/leafSize, 0, change)
	from, until, same := p.first(&a)
	if same || from > change || until <= change || until-from != 4<<20 {
		t.Errorf("%d to %d (%d bytes), same %v", from, until, until-from, same)
	}
}

// FuzzDigest holds digest.first against the bytes themselves.
func FuzzDigest(f *testing.F) {
	f.Add(uint64(1), uint32(20*leafSize), uint32(20*leafSize), uint32(5))
	f.Add(uint64(2), uint32(300*leafSize), uint32(100*leafSize), uint32(90*leafSize))
	f.Add(uint64(3), uint32(513*leafSize+3), uint32(513*leafSize+3), uint32(512*leafSize))
	text := make([]byte, 600*leafSize)
	f.Fuzz(func(t *testing.T, seed uint64, sizeP, sizeA, change uint32) {
		random := rand.New(rand.NewPCG(seed, 0))
		np, na := int(sizeP)%len(text), int(sizeA)%len(text)
		var p, a digest
		p.reset()
		p.write(text[:np])
		a.reset()
		at := int(change) % (na + 1)
		for n := 0; n < na; {
			piece := min(1+random.IntN(3*leafSize), na-n)
			if at >= n && at < n+piece {
				text[at] = 1
			}
			a.write(text[n : n+piece])
			if at < na {
				text[at] = 0
			}
			n += piece
		}
		differs, has := int64(min(np, na)), np != na
		if at < na && at <= min(np, na) && at < np {
			differs, has = int64(at), true
		}
		from, until, same := p.first(&a)
		if same == has {
			t.Fatalf("%d and %d bytes, changed at %d: same %v", np, na, at, same)
		}
		if has && (from > differs || until <= differs) {
			t.Fatalf("%d and %d bytes, changed at %d: from %d until %d", np, na, at, from, until)
		}
	})
}
