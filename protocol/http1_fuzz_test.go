package protocol

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"testing"
)

// FuzzHTTP1 holds the framer against net/http: where that reads a whole
// message, the framer must see its end at the same byte, unless mayLose
// excuses it. And in whatever pieces a stream comes, it must meet the same.
func FuzzHTTP1(f *testing.F) {
	for _, tt := range requestTests {
		if s, _ := expect(tt.stream); len(s) < 1000 {
			f.Add([]byte(s), []byte(ok), uint64(1))
		}
	}
	for _, tt := range answerTests {
		s, _ := expect(tt.stream)
		f.Add([]byte(tt.requests), []byte(s), uint64(2))
	}
	f.Fuzz(func(t *testing.T, requests, answers []byte, seed uint64) {
		if len(requests)+len(answers) > 16<<10 {
			return // the limits have tests of their own, and feed is quadratic
		}
		framer := NewHTTP1()
		got := feed(t, framer, Requests, string(requests), 1<<20)
		methods := checkRequests(t, requests, got, framer)

		got = feed(t, framer, Application, string(answers), 1<<20)
		if framer.(*http1).asked == uint64(len(methods)) { // else it is not agreed which request an answer is for
			checkAnswers(t, answers, methods, got, framer)
		}
		checkPieces(t, requests, answers, rand.New(rand.NewPCG(seed, 0)))
	})
}

// reader is a stream as net/http reads it.
type reader struct {
	all  []byte
	rest *bytes.Reader
	*bufio.Reader
}

func newReader(p []byte) *reader {
	rest := bytes.NewReader(p)
	return &reader{p, rest, bufio.NewReader(rest)}
}

// at returns how much net/http has used.
func (r *reader) at() int { return len(r.all) - r.rest.Len() - r.Buffered() }

// skipEmptyLines does what ReadRequest and ReadResponse leave to their callers.
func (r *reader) skipEmptyLines() {
	for {
		p, _ := r.Peek(2)
		switch {
		case bytes.HasPrefix(p, []byte("\n")):
			r.Discard(1)
		case string(p) == "\r\n":
			r.Discard(2)
		default:
			return
		}
	}
}

var (
	spaceBeforeColon = regexp.MustCompile(`(?i)\n(content-length|transfer-encoding)[ \t]+:`)
	anyCoding        = regexp.MustCompile(`(?i)\ntransfer-encoding[ \t]*:`)
	longMethod       = regexp.MustCompile(`^[^ ]{65}`)
)

// mayLose tells where the framer is meant to give up while net/http goes on.
func mayLose(message []byte, major, minor int) bool {
	return major != 1 || len(message) > chunkLineLimit ||
		minor == 0 && anyCoding.Match(message) || // a 1.0 message with a coding is faulty
		spaceBeforeColon.Match(message) || longMethod.Match(message)
}

// checkMark compares one message and reports whether there may be another.
func checkMark(t *testing.T, r *reader, start int, want Mark, got *[]met, inSync, excused bool) bool {
	t.Helper()
	at := r.at()
	if len(*got) == 0 || (*got)[0] != (met{at, want}) {
		if excused {
			return false
		}
		t.Fatalf("net/http: mark %d at %d; framer: %v, in sync %v\n%q", want, at, *got, inSync, r.all[start:at])
	}
	*got = (*got)[1:]
	return true
}

func incomplete(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func checkRequests(t *testing.T, stream []byte, got []met, framer Framer) (methods []string) {
	r := newReader(stream)
	for {
		r.skipEmptyLines()
		start := r.at()
		req, err := http.ReadRequest(r.Reader)
		if err == nil {
			_, err = io.Copy(io.Discard, req.Body)
		}
		if req != nil {
			methods = append(methods, req.Method)
		}
		if err != nil {
			if incomplete(err) && len(got) > 0 {
				t.Fatalf("net/http: %v; framer: %v\n%q", err, got, stream[start:])
			}
			return methods
		}
		if !checkMark(t, r, start, End, &got, framer.InSync(Requests), mayLose(stream[start:r.at()], req.ProtoMajor, req.ProtoMinor)) {
			return methods
		}
	}
}

func checkAnswers(t *testing.T, stream []byte, methods []string, got []met, framer Framer) {
	r := newReader(stream)
	for {
		r.skipEmptyLines()
		start := r.at()
		req := &http.Request{Method: "GET"}
		if len(methods) > 0 {
			req.Method = methods[0]
		}
		ans, err := http.ReadResponse(r.Reader, req)
		if err != nil {
			if incomplete(err) && len(got) > 0 {
				t.Fatalf("net/http: %v; framer: %v\n%q", err, got, stream[start:])
			}
			return
		}
		excused := mayLose(stream[start:r.at()], ans.ProtoMajor, ans.ProtoMinor) || ans.StatusCode < 100
		switch {
		case ans.StatusCode == 101, req.Method == "CONNECT" && ans.StatusCode/100 == 2:
			checkMark(t, r, start, End, &got, framer.InSync(Application), excused)
			return // the rest is another protocol's
		case ans.StatusCode/100 == 1:
			if !checkMark(t, r, start, Interim, &got, framer.InSync(Application), excused) {
				return
			}
			continue
		}
		untilClose := ans.ContentLength < 0 && len(ans.TransferEncoding) == 0 && req.Method != "HEAD" &&
			ans.StatusCode != 204 && ans.StatusCode != 304
		_, err = io.Copy(io.Discard, ans.Body)
		switch {
		case incomplete(err) && len(got) > 0:
			t.Fatalf("net/http: %v; framer: %v\n%q", err, got, stream[start:])
		case err != nil:
			return
		case untilClose:
			if m := framer.Close(Application); m != End && !excused {
				t.Fatalf("Close = %d, in sync %v\n%q", m, framer.InSync(Application), stream[start:])
			}
			return
		}
		excused = excused || mayLose(stream[start:r.at()], ans.ProtoMajor, ans.ProtoMinor)
		if !checkMark(t, r, start, End, &got, framer.InSync(Application), excused) {
			return
		}
		methods = methods[min(1, len(methods)):]
	}
}

// checkPieces feeds the streams again, in pieces of any size.
func checkPieces(t *testing.T, requests, answers []byte, random *rand.Rand) {
	a, b := NewHTTP1(), NewHTTP1()
	for _, s := range []Stream{Requests, Production} {
		stream := requests
		if s == Production {
			stream = answers
		}
		want := feed(t, a, s, string(stream), 1<<20)
		var got []met
		for at := 0; at < len(stream); {
			n, m := b.Feed(s, stream[at:at+1+random.IntN(len(stream)-at)])
			at += n
			if m != More {
				got = append(got, met{at, m})
			}
		}
		if !slices.Equal(want, got) || a.InSync(s) != b.InSync(s) || a.Open(s) != b.Open(s) {
			t.Fatalf("stream %d: whole %v, in sync %v, open %v; in pieces %v, %v, %v",
				s, want, a.InSync(s), a.Open(s), got, b.InSync(s), b.Open(s))
		}
	}
	// After a tunnel of production's the requests are out of sync as well.
	if a.InSync(Requests) != b.InSync(Requests) {
		t.Fatalf("requests: whole in sync %v, in pieces %v", a.InSync(Requests), b.InSync(Requests))
	}
}
