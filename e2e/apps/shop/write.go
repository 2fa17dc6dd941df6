package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
)

// answer is what is said; how it is written is up to write.
type answer struct {
	status string
	header []field
	body   []byte
	gzip   bool // the client takes it
	last   bool // the client wants the connection closed
}

type field struct{ name, value string }

// json sets the body; of what chance likes, the keys are in any order.
func (a *answer) json(o object, c chance) {
	var b bytes.Buffer
	o.append(&b, c)
	a.header = append(a.header, field{"Content-Type", "application/json; charset=utf-8"})
	a.body = append(b.Bytes(), '\n')
	if c.flip() {
		var indented bytes.Buffer
		if json.Indent(&indented, a.body, "", "  ") == nil {
			a.body = indented.Bytes()
		}
	}
}

func (a *answer) text(mediaType, text string) {
	a.header = append(a.header, field{"Content-Type", mediaType})
	a.body = []byte(text)
}

func (o object) append(b *bytes.Buffer, c chance) {
	b.WriteByte('{')
	for i, m := range shuffled(c, o) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:", m.key)
		switch v := m.value.(type) {
		case object:
			v.append(b, c)
		case []object:
			b.WriteByte('[')
			for i, e := range v {
				if i > 0 {
					b.WriteByte(',')
				}
				e.append(b, c)
			}
			b.WriteByte(']')
		default:
			text, err := json.Marshal(v)
			if err != nil {
				panic(err) // of values that stand in goods.go
			}
			b.Write(text)
		}
	}
	b.WriteByte('}')
}

// write puts the answer on the wire: as it is, or with noise with its fields in
// any order, and its body compressed, in chunks and in several writes by chance.
func (a *answer) write(w io.Writer, c chance) error {
	body, header := a.body, a.header
	if a.gzip && (!c.noise || c.flip()) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(body) // to memory
		z.Close()
		body, header = b.Bytes(), append(header, field{"Content-Encoding", "gzip"})
	}
	if a.last {
		header = append(header, field{"Connection", "close"})
	}
	chunked := c.flip()
	if chunked {
		header = append(header, field{"Transfer-Encoding", "chunked"})
	} else {
		header = append(header, field{"Content-Length", fmt.Sprint(len(body))})
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %s\r\n", a.status)
	for _, f := range shuffled(c, header) {
		fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
	}
	b.WriteString("\r\n")
	if !chunked {
		b.Write(body)
		_, err := w.Write(b.Bytes())
		return err
	}
	for len(body) > 0 {
		n := 1 + rand.IntN(len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
		if c.flip() {
			if _, err := w.Write(b.Bytes()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	b.WriteString("0\r\n\r\n")
	_, err := w.Write(b.Bytes())
	return err
}
