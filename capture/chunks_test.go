package capture

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestQueue compares queues that share their memory with plain slices.
func TestQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var c chunks
	queues, want := make([]queue, 5), make([][]byte, 5)
	sizes := []int{1, 24, 66, chunkSize - 1, chunkSize, chunkSize + 1, 3 * chunkSize, 70_000}
	peak := 0
	for step := range 20_000 {
		i := r.IntN(len(queues))
		q := &queues[i]
		if n := sizes[r.IntN(len(sizes))]; r.IntN(2) == 0 && len(want[i]) < 200_000 {
			p := make([]byte, n)
			for j := range p {
				p[j] = byte(step + j)
			}
			q.push(&c, p)
			want[i] = append(want[i], p...)
		} else {
			n = min(n, len(want[i]))
			if r.IntN(10) == 0 {
				n = len(want[i])
			}
			got := make([]byte, n)
			q.peek(&c, got)
			if !bytes.Equal(got, want[i][:n]) {
				t.Fatalf("step %d: queue %d begins otherwise", step, i)
			}
			q.drop(&c, n)
			want[i] = want[i][n:]
		}
		held := 0
		for i := range queues {
			if queues[i].size != len(want[i]) || queues[i].held > len(want[i])/chunkSize+2 {
				t.Fatalf("step %d: queue %d says %d bytes in %d chunks, it has %d", step, i, queues[i].size, queues[i].held, len(want[i]))
			}
			held += queues[i].held
		}
		if peak = max(peak, held); held != c.used {
			t.Fatalf("step %d: %d chunks are in use, %d are counted", step, held, c.used)
		}
	}
	for i := range queues { // a copy reads and leaves the queue as it was
		rest := queues[i]
		var got []byte
		for rest.size > 0 {
			p := make([]byte, min(rest.size, 1+r.IntN(5000)))
			rest.peek(&c, p)
			rest.skip(&c, len(p))
			got = append(got, p...)
		}
		if !bytes.Equal(got, want[i]) {
			t.Errorf("queue %d reads otherwise", i)
		}
		queues[i].drop(&c, len(want[i]))
	}
	if c.used != 0 || len(c.slabs) > peak/slabLen+1 {
		t.Errorf("%d chunks are lost; %d slabs for at most %d chunks", c.used, len(c.slabs), peak)
	}
}
