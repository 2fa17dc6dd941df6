package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
)

// messages is the file in which each message that came whole gets a line:
// client, what it was, length and digest of its body.
//
//	10.77.0.2:40000 POST /digest 100 8b2c…
//	10.77.0.2:40002 frame 10 a41f…
type messages struct {
	mu   sync.Mutex
	file *os.File // nil: none is kept
}

func (m *messages) open(path string) (err error) {
	if path != "" {
		m.file, err = os.Create(path)
	}
	return err
}

func (m *messages) add(client, what string, body []byte) {
	if m.file == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := fmt.Fprintf(m.file, "%s %s %d %x\n", client, what, len(body), sha256.Sum256(body))
	check(err)
}

// request reads the whole body, which the handler then reads again. It reports
// whether it came whole.
func (m *messages) request(r *http.Request) bool {
	if m.file == nil {
		return true
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	m.add(r.RemoteAddr, r.Method+" "+r.RequestURI, body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return true
}
