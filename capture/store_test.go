package capture_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/session"
)

// TestStoreTrims: of a session that is too long its end is kept, as one that
// was joined.
func TestStoreTrims(t *testing.T) {
	c := script()
	c.MSS = 700
	c.Handshake()
	for i := range 100 {
		c.Client(fmt.Sprintf("GET /%d HTTP/1.1\r\n\r\n", i)).Server(strings.Repeat(fmt.Sprintf("%05d", i), 400)).ClientACK()
	}
	c.SYNACK() // a late copy: no beginning of what follows
	late := len(c.Packets) - 1
	c.Packets[late].Data = c.Packets[1].Data
	c.Seq[1]--
	c.Client("GET /last HTTP/1.1\r\n\r\n").Server("end").Close()
	const limit = 20 << 10
	store, r := keep(batch(c.Packets), capture.AssemblerConfig{}, capture.StoreConfig{MaxSession: limit}, 16)
	k, ok := store.Look(1)
	if !ok || k.Whole || k.Packets < 20 || k.Packets > 60 {
		t.Fatalf("%+v, %v", k, ok)
	}
	packets := written(t, store, 1)
	size := 0
	for _, p := range packets {
		size += len(p.Data)
	}
	if size > limit || size < limit*3/4 {
		t.Errorf("%d bytes are kept, of at most %d", size, limit)
	}
	again := alone(t, packets, r.sessions[0], capture.AssemblerConfig{})
	if len(again.sessions) != 1 || !again.sessions[0].Joined {
		t.Fatalf("%d sessions, %s", len(again.sessions), again.text(0))
	}
	streams := func(r *record) (all [2]string) {
		for _, e := range r.events[r.sessions[0]] {
			all[e.Side] += string(e.Data)
			if e.Kind == session.Gap {
				t.Errorf("a gap of %d bytes", e.Missing)
			}
		}
		return all
	}
	whole, part := streams(r), streams(again)
	for side := range whole {
		if part[side] == "" || !strings.HasSuffix(whole[side], part[side]) {
			t.Errorf("side %d: %d bytes that are not the last ones", side, len(part[side]))
		}
	}
}

// TestStoreLife goes through what may happen to sessions.
func TestStoreLife(t *testing.T) {
	const each = 10 << 10 // bytes of a session: six chunks
	visit := func(n int) []capture.Packet {
		c := script()
		c.Ends[0] = netip.AddrPortFrom(c.Ends[0].Addr(), uint16(4000+n))
		return batch(c.Handshake().Client(string(make([]byte, each))).Server("x").Packets)
	}
	for _, c := range []struct {
		name  string
		cfg   capture.StoreConfig
		steps string // "3": session 3 is captured; "w3", "r3", "d3", "p3": Want, Release, Done, Drop; "x3": it is captured to its end
		want  string // sessions that are there
	}{
		{"all fit", capture.StoreConfig{}, "1 2 3", "1 2 3"},
		{"done", capture.StoreConfig{}, "1 2 3 d2", "1 3"},
		{"done, and goes on", capture.StoreConfig{}, "1 d1 x1", ""},
		{"ended, not done", capture.StoreConfig{}, "1 x1 2", "1 2"},
		{"ended and done", capture.StoreConfig{}, "1 x1 d1 2", "2"},
		{"wanted and done", capture.StoreConfig{}, "1 2 w1 d1 d2 x1 x2", "1"},
		{"released before it is done", capture.StoreConfig{}, "1 w1 r1", "1"},
		{"released when it was done", capture.StoreConfig{}, "1 w1 d1 r1", ""},
		{"wanted twice, released once", capture.StoreConfig{}, "1 w1 w1 d1 r1 x1", "1"},
		{"released more often than wanted", capture.StoreConfig{}, "1 r1 w1 d1", "1"},
		{"unknown", capture.StoreConfig{}, "w7 r7 d7", ""},
		{"copies", capture.StoreConfig{Copies: 2}, "1 2 d1 d2 d2", "1"},
		{"not played", capture.StoreConfig{Copies: 2}, "1 2 p1", "2"},
		{"no room: the longest silent goes", capture.StoreConfig{Max: 60 << 10}, "1 2 3 4 5", "2 3 4 5"},
		{"no room: not who spoke again", capture.StoreConfig{Max: 60 << 10}, "1 2 3 4 x1 5", "1 3 4 5"},
		{"no room: not who is wanted", capture.StoreConfig{Max: 60 << 10}, "1 w1 2 3 4 5 6", "1 4 5 6"},
		{"half is for what is wanted", capture.StoreConfig{Max: 60 << 10}, "1 w1 2 w2 3 w3 4 5 6", "1 2 5 6"},
		{"and again when it was released", capture.StoreConfig{Max: 60 << 10}, "1 w1 2 w2 r1 3 w3 4 5 6", "2 3 5 6"},
		{"done, and lingers", capture.StoreConfig{Linger: true}, "1 2 d1 x1 x2 d2", "1 2"},
		{"not played, does not linger", capture.StoreConfig{Linger: true}, "1 2 p1 x1", "2"},
		{"lingers, and goes on", capture.StoreConfig{Linger: true}, "1 d1 x1 2", "1 2"},
		{"no room: the longest done goes first", capture.StoreConfig{Linger: true, Max: 60 << 10}, "1 2 3 x3 d3 x2 d2 4 5 6", "1 4 5 6"},
		{"no room: then who is silent", capture.StoreConfig{Linger: true, Max: 60 << 10}, "1 2 d2 3 4 5 6", "3 4 5 6"},
		{"wanted, then lingers", capture.StoreConfig{Linger: true, Max: 60 << 10}, "1 w1 d1 x1 2 3 4 r1", "1 2 3 4"},
		{"wanted, then lingers, then goes", capture.StoreConfig{Linger: true, Max: 60 << 10}, "1 w1 d1 x1 2 3 4 r1 5", "2 3 4 5"},
		{"no room: not what comes later of it", capture.StoreConfig{Linger: true, Max: 60 << 10}, "1 d1 2 3 4 5 x1", "2 3 4 5"},
		{"copies linger", capture.StoreConfig{Linger: true, Copies: 2, Max: 60 << 10}, "1 2 d1 d1 d2 3 4 5", "2 3 4 5"},
	} {
		store := capture.NewStore(c.cfg)
		asm := capture.NewAssembler(capture.AssemblerConfig{Tap: store})
		ids := map[int]uint64{}
		for _, step := range strings.Fields(c.steps) {
			var n int
			fmt.Sscan(strings.TrimLeft(step, "wrdpx"), &n)
			switch step[0] {
			case 'w':
				store.Want(ids[n])
			case 'r':
				store.Release(ids[n])
			case 'd':
				store.Done(ids[n])
			case 'p':
				store.Drop(ids[n])
			case 'x':
				c := script().Wait(time.Second)
				c.Ends[0] = netip.AddrPortFrom(c.Ends[0].Addr(), uint16(4000+n))
				c.Seq = [2]uint32{1001 + each, 5002}
				asm.Packets(batch(c.Close().Packets))
			default:
				ids[n] = asm.Packets(visit(n))[0].ID
			}
		}
		var got []string
		for n := range 10 {
			if store.Has(ids[n]) {
				got = append(got, fmt.Sprint(n))
				written(t, store, ids[n])
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %s leaves %v, want %s", c.name, c.steps, got, c.want)
		}
	}
	if err := capture.NewStore(capture.StoreConfig{}).Write(1, capture.NewWriter(new(bytes.Buffer), "")); err == nil {
		t.Error("a session that nobody knows was written")
	}
}

// TestStoreKeepsWhatIsWanted: what comes after a session is wanted does not
// take the place of what it is wanted for.
func TestStoreKeepsWhatIsWanted(t *testing.T) {
	store := capture.NewStore(capture.StoreConfig{MaxSession: 16 << 10})
	asm := capture.NewAssembler(capture.AssemblerConfig{Tap: store})
	c := script().Handshake().Client("the request").Server("the answer")
	s := asm.Packets(batch(c.Packets))[0]
	if !store.Want(s.ID) {
		t.Fatal("it is not there")
	}
	n := len(c.Packets)
	for range 100 {
		c.Client(string(make([]byte, 1000))).ServerACK()
	}
	asm.Packets(batch(c.Close().Packets[n:]))
	r := alone(t, written(t, store, s.ID), s, capture.AssemblerConfig{})
	if k, _ := store.Look(s.ID); k.Whole || !strings.HasPrefix(r.text(0), `Copen Sopen C"the request" S"the answer"`) || strings.Contains(r.text(0), "gap") {
		t.Errorf("%+v: %s", k, r.text(0))
	}
	store.Release(s.ID)
	if store.Has(s.ID) {
		t.Error("what follows would have a hole before it")
	}
}

// TestStoreConcurrently: sources and players at once.
func TestStoreConcurrently(t *testing.T) {
	storeConcurrently(t, capture.StoreConfig{Max: 256 << 10})
}

func TestStoreLingersConcurrently(t *testing.T) {
	storeConcurrently(t, capture.StoreConfig{Max: 256 << 10, Linger: true})
}

func storeConcurrently(t *testing.T, cfg capture.StoreConfig) {
	store := capture.NewStore(cfg)
	var ids struct {
		sync.Mutex
		n uint64
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			asm := capture.NewAssembler(capture.AssemblerConfig{Tap: store, NextID: func() uint64 {
				ids.Lock()
				defer ids.Unlock()
				ids.n++
				return ids.n
			}})
			packets := batch(capturetest.HTTP(capturetest.Load{Sessions: 300, Requests: 2}))
			for batch := range slices.Chunk(packets, 50) {
				for _, s := range asm.Packets(batch) {
					if s.ID%10 == 0 && store.Want(s.ID) {
						store.Release(s.ID)
					}
					if _, cause := s.Totals(); cause != session.Live {
						store.Done(s.ID)
					}
				}
			}
		})
	}
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for id := uint64(1); ; id = id%900 + 1 {
			select {
			case <-done:
				return
			default:
			}
			if store.Has(id) {
				store.Look(id)
				store.Write(id, capture.NewWriter(new(bytes.Buffer), "test"))
			}
		}
	})
	all.Wait()
	close(done)
	looking.Wait()
	there := 0
	for id := range uint64(901) {
		if store.Has(id) {
			there++
		}
	}
	if n := store.Len(); n != there || cfg.Linger != (n > 0) {
		t.Errorf("%d sessions are known that have ended and nobody wants, and the packets of %d are there", n, there)
	}
}
