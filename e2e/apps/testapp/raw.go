package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// serveFrames speaks first: a greeting in one frame. Each
// frame is a length of four bytes, big endian, and a payload; each is answered
// with one frame.
func (b *behaviour) serveFrames(c *recorded) {
	w := bufio.NewWriter(c)
	send := func(payload string) error {
		w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(payload))))
		w.WriteString(payload)
		return w.Flush()
	}
	if send("testapp frames, version 1, speak when you are spoken to") != nil {
		return
	}
	for r := bufio.NewReader(c); ; {
		var length [4]byte
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return
		}
		payload := make([]byte, min(binary.BigEndian.Uint32(length[:]), 1<<20))
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		b.messages.add(c.RemoteAddr().String(), "frame", payload)
		b.count()
		if b.delay > 0 {
			time.Sleep(b.delay)
		}
		answer := fmt.Sprintf("%d %x", len(payload), sha256.Sum256(payload))
		if b.plant != "" && string(payload) == b.plant {
			answer = "a planted bug"
		}
		if send(answer) != nil {
			return
		}
	}
}

// serveDigest reads until the client closes its half, then answers.
func (b *behaviour) serveDigest(c *recorded) {
	sum := sha256.New()
	n, err := io.Copy(sum, c)
	if err != nil {
		return
	}
	b.count()
	if b.delay > 0 {
		time.Sleep(b.delay)
	}
	fmt.Fprintf(c, "%d %x\n", n, sum.Sum(nil))
}
