package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
)

// request is what is sent, and the body that must come back.
type request struct {
	raw    []byte
	answer func(body []byte) error
}

func get(path, headers string, answer func([]byte) error) request {
	return request{fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: shop.test\r\n%s\r\n", path, headers), answer}
}

func post(body []byte, chunked bool) request {
	var raw bytes.Buffer
	if chunked {
		fmt.Fprintf(&raw, "POST /digest HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n")
		for part := range bytesInParts(body, 50) {
			fmt.Fprintf(&raw, "%x\r\n%s\r\n", len(part), part)
		}
		raw.WriteString("0\r\n\r\n")
	} else {
		fmt.Fprintf(&raw, "POST /digest HTTP/1.1\r\nHost: shop.test\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	return request{raw.Bytes(), exactly(fmt.Sprintf("%d %x\n", len(body), sha256.Sum256(body)))}
}

func bytesInParts(p []byte, n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			part := p[:min(n, len(p))]
			if p = p[len(part):]; !yield(part) {
				return
			}
		}
	}
}

func exactly(want string) func([]byte) error {
	return func(got []byte) error {
		if string(got) != want {
			return fmt.Errorf("answer is %.100q, not %.100q", got, want)
		}
		return nil
	}
}

// content returns n bytes that depend on two numbers only.
func content(n, a, b int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(a), byte(a >> 8), byte(b), byte(b >> 8), 1}).Read(p)
	return p
}

// mixture returns a request that no other connection sends.
func (c *client) mixture(i int, headers string) request {
	if c.path != "" {
		return get(c.path, headers, func([]byte) error { return nil })
	}
	switch {
	case headers != "" || i%3 == 0:
		name := fmt.Sprintf("%d-%d", c.number, i)
		return get("/item/"+name, headers, exactly("item "+name+"\n"))
	case i%3 == 1:
		return post(content(100+i, c.number, i), false)
	default:
		return post(content(100+i, c.number, i), true)
	}
}

// exchange sends requests at once and reads their answers.
func (c *client) exchange(all ...request) error {
	var raw []byte
	for _, r := range all {
		raw = append(raw, r.raw...)
	}
	if err := c.send(raw); err != nil {
		return err
	}
	for _, r := range all {
		resp, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return fmt.Errorf("connection %d: read answer: %w", c.number, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return fmt.Errorf("connection %d: read answer: %w", c.number, err)
		}
		if err := r.answer(body); err != nil {
			return fmt.Errorf("connection %d: %w", c.number, err)
		}
		c.asked++
	}
	return c.answered()
}

func (w *work) http(c *client) error {
	if err := c.dial(); err != nil {
		return err
	}
	for i := 0; i < w.requests; {
		c.due(i)
		var some []request
		for ; len(some) < w.pipeline && i < w.requests; i++ {
			some = append(some, c.mixture(i, ""))
		}
		if err := c.exchange(some...); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) short(c *client) error {
	for i := range w.requests {
		c.due(i)
		if err := c.dial(); err != nil {
			return err
		}
		if err := c.exchange(c.mixture(i, "Connection: close\r\n")); err != nil {
			return err
		}
		if err := c.close(); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) upload(c *client) error {
	if err := c.dial(); err != nil {
		return err
	}
	for i := range w.requests {
		if err := c.exchange(post(content(w.size, c.number, i), false)); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) halves(c *client) error {
	if err := c.dial(); err != nil {
		return err
	}
	for i := range w.requests {
		r := post(content(w.size, c.number, i), false)
		if i == 0 {
			half := len(r.raw) / 2
			if err := c.send(r.raw[:half]); err != nil {
				return err
			}
			r.raw = r.raw[half:]
			c.asked = c.firstPart
			if err := c.answered(); err != nil {
				return err
			}
		}
		if err := c.exchange(r); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) download(c *client) error {
	if err := c.dial(); err != nil {
		return err
	}
	for range w.requests {
		if err := c.send(get(fmt.Sprintf("/bytes/%d", w.size), "", nil).raw); err != nil {
			return err
		}
		r, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return fmt.Errorf("connection %d: read answer: %w", c.number, err)
		}
		n, err := c.discard(r.Body)
		if err != nil || n != int64(w.size) {
			return fmt.Errorf("connection %d: the answer has %d bytes, not %d: %v", c.number, n, w.size, err)
		}
		c.asked++
		if err := c.answered(); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) reset(c *client) error {
	for i := range w.requests {
		if err := c.dial(); err != nil {
			return err
		}
		if err := c.exchange(c.mixture(i, "")); err != nil {
			return err
		}
		if err := c.rst(); err != nil {
			return err
		}
	}
	return nil
}

// abort reads a quarter of the answer and resets.
func (w *work) abort(c *client) error {
	for range w.requests {
		if err := c.dial(); err != nil {
			return err
		}
		if err := c.send(get(fmt.Sprintf("/bytes/%d", w.size), "", nil).raw); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, c.in, int64(w.size/4)); err != nil {
			return err
		}
		if err := c.rst(); err != nil {
			return err
		}
	}
	return nil
}
