package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tcpsandbox/capture"
	"tcpsandbox/capture/capturetest"
	"tcpsandbox/replay"
	"tcpsandbox/session"
	"tcpsandbox/tui"
)

// fileShown is a screen of a file that was read to its end.
func fileShown(t *testing.T, name, filter string) (*fileScreen, []replay.View) {
	t.Helper()
	spec, err := capture.ParseSpec(name)
	if err != nil {
		t.Fatal(err)
	}
	pick := &picked{filterText: filter, tunnels: "auto"}
	if err := pick.complete(); err != nil {
		t.Fatal(err)
	}
	s, err := newFileScreen(name, spec, pick)
	if err != nil {
		t.Fatal(err)
	}
	s.read(t.Context())
	return s, bySlot(s.Poll().Sessions)
}

func bySlot(views []replay.View) []replay.View {
	all := make([]replay.View, len(views))
	for _, v := range views {
		all[v.Slot] = v
	}
	return all
}

func TestFileScreen(t *testing.T) {
	t.Chdir(t.TempDir())
	web := exchanged("10.0.0.1:40000", "GET /cart?token=s3cr3t HTTP/1.1\r\nCookie: id=s3cr3t\r\n\r\n", okay("application/json", `{"a":1}`)).
		Client("POST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi" + "GET /c HTTP/1.1\r\n\r\n").
		Server("HTTP/1.1 204 No Content\r\n\r\n" + okay("text/plain", "see")).Close()
	ugly := merged([][]capturetest.Packet{web.Packets, ugly()})
	if err := os.WriteFile("shop.pcap", capturetest.Pcap(ugly), 0o644); err != nil {
		t.Fatal(err)
	}
	s, views := fileShown(t, "shop.pcap:80,81,80/udp", "not host 10.0.0.4")
	run := s.Poll().Run
	if run.Sessions.Seen != int64(len(views)) || len(views) < 5 || run.Ended == "" || run.Packets == 0 || run.Active != 0 {
		t.Errorf("%d views, %+v", len(views), run)
	}
	slot := -1
	for _, v := range views {
		if v.Application != replay.Unplayed || v.Answered != -1 || v.Delivered != -1 || v.Behind != -1 || v.State == "" {
			t.Errorf("%+v", v)
		}
		if v.Requests == 3 && v.Client.Addr().String() == "10.0.0.1" {
			slot = v.Slot
		}
	}
	if slot < 0 {
		t.Fatalf("%+v", views)
	}
	v := views[slot]
	if strings.Join(v.Routes, ", ") != "GET /cart, POST /b, GET /c" || v.Production != replay.ProductionClosed || v.FirstProduction <= 0 || v.Served == 0 {
		t.Errorf("%+v", v)
	}
	story := s.Story(slot)
	if story == nil || len(story.Played) != 3 || len(story.Marks) != 4 || len(story.Facts) == 0 {
		t.Fatalf("%+v", story)
	}
	for i, want := range []struct {
		label, request, answer string
	}{
		{"GET /cart?token=s3cr3t HTTP/1.1", "", "{\n  \"a\": 1\n}"},
		{"POST /b HTTP/1.1", "hi", ""},
		{"GET /c HTTP/1.1", "", "see"},
	} {
		p := story.Played[i]
		e := s.Explain(slot, i)
		if p.Label != want.label || p.Judged || p.Asked < 0 || p.First[0] < p.Asked || p.First[1] != replay.Never || p.AnswerLen[1] != 0 {
			t.Errorf("%d: %+v", i, p)
		}
		if e == nil || e.Request == nil || e.Request.Text != want.request || e.Request.Cut || e.Production == nil || e.Production.Text != want.answer || e.Application != nil ||
			!strings.HasPrefix(e.Production.Head, "HTTP/1.1 20") || len(e.Differences) > 0 || strings.Contains(e.Request.Head, "s3cr3t") && i > 0 {
			t.Errorf("%d: %+v", i, e)
		}
	}
	if strings.Contains(s.Explain(slot, 0).Request.Head, "id=s3cr3t") {
		t.Error("the cookie is there")
	}
	if s.Story(len(views)) != nil || s.Explain(slot, 3) != nil || s.Story(-1) != nil {
		t.Error("there is more than there was")
	}

	path, err := s.Save(slot)
	if err != nil {
		t.Fatal(err)
	}
	_, saved := fileShown(t, path, "")
	if len(saved) != 1 || saved[0].Client != v.Client || saved[0].Captured != v.Captured || saved[0].Served != v.Served || saved[0].Requests != 3 {
		t.Errorf("%s has %+v", path, saved)
	}
	if _, err := s.Save(99); err == nil {
		t.Error("a session that is not there was saved")
	}
	line := s.Command(slot)
	if !strings.HasPrefix(line, "tcpsandbox run --capture shop.pcap:80 --filter '(not host 10.0.0.4) and host 10.0.0.1 and port 40000'") || !strings.HasSuffix(line, " -- ./testapp") {
		t.Errorf("%s", line)
	}
	for _, v := range views {
		if line := s.Command(v.Slot); !strings.Contains(line, fmt.Sprintf("port %d", v.Client.Port())) || v.Proto == session.UDP != strings.Contains(line, "80/udp") {
			t.Errorf("%v: %s", v.Client, line)
		}
	}
	os.Remove("shop.pcap")
	s.told = nil
	if s.Story(slot) != nil || s.Command(slot) != "" {
		t.Error("the file is gone, and its sessions are there")
	}
	if _, err := s.Save(slot); err == nil {
		t.Error("the file is gone, and was saved from")
	}
}

// What cannot be told apart by messages is read by turns, and nothing is lost.
func TestReading(t *testing.T) {
	const get, found = "GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	conn := func() *capturetest.Conn { return capturetest.New("10.0.0.1:40000", "10.9.0.1:80").Handshake() }
	hole := conn().Client(get).Server(found).Client("PUT /b HTTP/1.1\r\nContent-Length: 4\r\n\r\n12").Client("34").Server(found).Client(get).Server(found).Close()
	hole.Drop(6)
	for _, tt := range []struct {
		name string
		conn *capturetest.Conn
		want string
	}{
		{"HTTP", conn().Client(get).Server(found).Client(get).Server(found).Close(), "GET /a HTTP/1.1 19<40 GET /a HTTP/1.1 19<40"},
		{"a pipeline", conn().Client(get + get).Server(found[:20]).Server(found[20:] + found).Close(), "GET /a HTTP/1.1 19<40 GET /a HTTP/1.1 19<40"},
		{"in pieces", conn().Client("GE").Client("T /a HTTP/1.1\r\n").Client("\r\n").Server(found).Close(), "GET /a HTTP/1.1 19<40"},
		{"until the close", conn().Client(get).Server("HTTP/1.1 200 OK\r\n\r\nall").ServerFIN().ClientACK(), "GET /a HTTP/1.1 19<22"},
		{"no HTTP", conn().Client("one").Server("ONE").Client("two").Client("more").Server("TWO").Close(), "turn 1 3<3 turn 2 7<3"},
		{"a greeting", conn().Server("220 hello").Client("one").Server("ONE").Close(), "greeting 0<9 turn 2 3<3"},
		{"answered too early", conn().Client("GET /a").Server("what?").Client("bye").Close(), "turn 1 6<5 turn 2 3<0"},
		{"cut off early", conn().Client("GET /a"), "turn 1 6<0"},
		{"a hole", hole, "GET /a HTTP/1.1 19<40 PUT /b HTTP/1.1 40<40 GET /a HTTP/1.1 19<40"},
		{"an upgrade", conn().Client(get).Server("HTTP/1.1 101 Go\r\n\r\n\x01\x02").Client("\x03").Server("\x04\x05").Close(), "GET /a HTTP/1.1 19<19 unasked 0<2 turn 3 1<2"},
	} {
		path := filepath.Join(t.TempDir(), "one.pcap")
		if err := os.WriteFile(path, capturetest.Pcap(tt.conn.Packets), 0o644); err != nil {
			t.Fatal(err)
		}
		s, views := fileShown(t, path, "")
		if len(views) != 1 {
			t.Fatalf("%s: %d sessions", tt.name, len(views))
		}
		told := s.again(0)
		var got []string
		requests, answers := int64(0), int64(0)
		for i, p := range told.Played {
			got = append(got, fmt.Sprintf("%s %d<%d", p.Label, p.RequestLen, p.AnswerLen[0]))
			requests += p.RequestLen
			answers += p.AnswerLen[0]
			if p.Number != i || int64(len(p.Request)) != p.RequestLen || p.Answers[0] != nil && int64(len(p.Answers[0].Head)) != p.AnswerLen[0] {
				t.Errorf("%s: %+v", tt.name, p)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, strings.Join(got, " "), tt.want)
		}
		if requests != views[0].Captured || answers != views[0].Served {
			t.Errorf("%s: %d and %d bytes of %d and %d", tt.name, requests, answers, views[0].Captured, views[0].Served)
		}
	}
}

// Of a session as large as may be a bounded part is kept.
func TestReadingIsBounded(t *testing.T) {
	s := &session.Session{}
	r := newReading(s, nil, true)
	big := make([]byte, 1<<20)
	for range 100 {
		r.event(&session.Event{Kind: session.Data, Side: session.Client, Data: big})
		r.event(&session.Event{Kind: session.Data, Side: session.Server, Data: big})
	}
	for range 3000 {
		r.event(&session.Event{Kind: session.Data, Side: session.Client, Data: []byte("x")})
		r.event(&session.Event{Kind: session.Data, Side: session.Server, Data: []byte("y")})
	}
	size := 0
	for _, p := range r.played {
		size += len(p.Request) + len(p.Answers[0].Head)
		if len(p.Request) > maxReadText || len(p.Answers[0].Head) > maxReadText {
			t.Fatal("too long a text")
		}
	}
	if size > maxReadAll || size < maxReadAll/2 || len(r.played) != maxRead || r.omitted != 3100-maxRead || r.begun != 3100 {
		t.Errorf("%d bytes of %d exchanges, %d omitted of %d", size, len(r.played), r.omitted, r.begun)
	}
	silent := newReading(s, nil, false)
	for range 5000 {
		silent.event(&session.Event{Kind: session.Data, Side: session.Client, Data: []byte("GET / HTTP/1.1\r\n\r\n")})
	}
	if len(silent.open) > maxReadOpen || len(silent.played) > 0 || silent.begun != 5000 {
		t.Errorf("%d are open, %d kept, of %d", len(silent.open), len(silent.played), silent.begun)
	}
}

// FuzzReading: whatever both sides say, and wherever it is cut, each byte is in
// one exchange.
func FuzzReading(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), uint64(0x1234), false)
	f.Add([]byte("hello"), []byte("220 you"), uint64(3), true)
	f.Fuzz(func(t *testing.T, client, server []byte, cuts uint64, joined bool) {
		r := newReading(&session.Session{Joined: joined}, nil, true)
		said := [2][]byte{client, server}
		total := len(client) + len(server)
		for len(said[0])+len(said[1]) > 0 {
			side := session.Side(cuts & 1)
			n := min(len(said[side]), int(cuts>>1&63)+1)
			cuts = cuts>>7 | cuts<<57
			if n == 0 {
				side = side.Other()
				n = len(said[side])
			}
			if cuts&0x700 == 0x700 {
				r.event(&session.Event{Kind: session.Gap, Side: side, Missing: 3})
			}
			r.event(&session.Event{Kind: session.Data, Side: side, Data: said[side][:n]})
			said[side] = said[side][n:]
		}
		r.end()
		got := int64(0)
		for _, p := range r.played {
			got += p.RequestLen + p.AnswerLen[0]
		}
		if lines := int64(strings.Count(string(client), "\r") + strings.Count(string(client), "\n")); got > int64(total) || got < int64(total)-lines {
			t.Errorf("%d of %d bytes are in %d exchanges", got, total, len(r.played))
		}
	})
}

// Real captures: each session that is listed as one has its view.
func TestFileScreenCorpus(t *testing.T) {
	folder := os.Getenv("TCPSANDBOX_CORPUS")
	if folder == "" {
		if os.Getenv("TCPSANDBOX_NEED") == "all" {
			t.Fatal("TCPSANDBOX_CORPUS is not set")
		}
		t.Skip("TCPSANDBOX_CORPUS is not set: no captures to read")
	}
	list, err := os.Open(filepath.Join(folder, "SESSIONS.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer list.Close()
	type listed struct{ client, server, up, down string }
	files := map[string][]listed{}
	for lines := bufio.NewScanner(list); lines.Scan(); {
		v := strings.Split(lines.Text(), "\t")
		if v[0] != "file" && v[11] == "clean" {
			files[v[0]] = append(files[v[0]], listed{v[2], v[3], v[6], v[7]})
		}
	}
	told := 0
	for file, sessions := range files {
		spec := capture.Spec{Source: filepath.Join(folder, file)}
		s, err := newFileScreen(file, spec, &picked{tunnels: "auto"})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		s.read(t.Context()) // one that breaks off has sessions as well
		views := bySlot(s.Poll().Sessions)
		there := map[listed]int{}
		for _, v := range views {
			one := listed{fmt.Sprintf("%v|%d", v.Client.Addr(), v.Client.Port()), fmt.Sprintf("%v|%d", v.Server.Addr(), v.Server.Port()), fmt.Sprint(v.Captured), fmt.Sprint(v.Served)}
			there[one]++
		}
		for _, want := range sessions {
			if there[want] == 0 && want.up+want.down != "00" { // of the others some are no connections, to a kernel
				t.Errorf("%s: no view of %+v", file, want)
			}
			there[want]--
		}
		for _, v := range views[:min(len(views), 3)] {
			story := s.Story(v.Slot)
			if story == nil || story.ID != v.ID || story.Captured != v.Captured || len(story.Played)+story.Omitted != v.Requests {
				t.Errorf("%s: session %d: %+v", file, v.ID, story)
				continue
			}
			for _, p := range story.Played[:min(len(story.Played), 5)] {
				if e := s.Explain(v.Slot, p.Number); e == nil {
					t.Errorf("%s: session %d: nothing is told of exchange %d", file, v.ID, p.Number)
				}
				told++
			}
		}
	}
	if told == 0 {
		t.Error("no story in all of them")
	}
}

// A file may be looked at while it is read.
func TestFileScreenWhileItIsRead(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("many.pcap", capturetest.Pcap(capturetest.HTTP(capturetest.Load{Sessions: 500, Requests: 3})), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := newFileScreen("many.pcap", capture.Spec{Source: "many.pcap"}, &picked{tunnels: "auto"})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { s.read(context.Background()) })
	seen := map[int]replay.View{}
	var last tui.Run
	for last.Ended == "" {
		snap := s.Poll()
		for _, v := range snap.Sessions {
			seen[v.Slot] = v
			s.Story(v.Slot % 3)
		}
		last = snap.Run
	}
	all.Wait()
	for _, v := range s.Poll().Sessions {
		seen[v.Slot] = v
	}
	if len(seen) != 500 {
		t.Errorf("%d sessions", len(seen))
	}
	for _, v := range seen {
		if v.Requests != 3 || v.State == "" {
			t.Errorf("%+v", v)
		}
	}
}
