package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"tcpsandbox/e2e/apps/catalog"
)

// shop walks through the shop: of all connections together, request k of the
// run is the catalog's request k. With -path it asks for that only. Half of the
// requests take gzip.
func (w *work) shop(c *client) error {
	if err := c.dial(); err != nil {
		return err
	}
	for i := 0; i < w.requests; {
		c.due(i)
		var raw []byte
		var targets []string
		for ; len(targets) < w.pipeline && i < w.requests; i++ {
			target, form := catalog.Request(i*w.connections + c.number)
			if w.path != "" {
				target, form = w.path, nil
			}
			raw = append(raw, w.question(target, form, i%2 == 0)...)
			targets = append(targets, target)
		}
		if err := c.send(raw); err != nil {
			return err
		}
		for _, target := range targets {
			if err := c.readPage(target); err != nil {
				return fmt.Errorf("connection %d: %s: %w", c.number, target, err)
			}
			c.asked++
		}
		if err := c.answered(); err != nil {
			return err
		}
	}
	if w.toEnd {
		if _, err := c.in.ReadByte(); err != io.EOF {
			return fmt.Errorf("connection %d: the server does not close: %v", c.number, err)
		}
	}
	return nil
}

// question is a request with a header as browsers send it, secrets included.
func (w *work) question(target string, form url.Values, compressed bool) []byte {
	var b bytes.Buffer
	method, body := "GET", ""
	if form != nil {
		method, body = "POST", form.Encode()
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: shop.test\r\n", method, target)
	if w.secret != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %[1]s\r\nCookie: visit=%[1]s; theme=dark\r\n", w.secret)
	}
	if compressed {
		b.WriteString("Accept-Encoding: gzip\r\n")
	}
	if form != nil {
		fmt.Fprintf(&b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(body))
	}
	return append(b.Bytes(), "\r\n"+body...)
}

// readPage reads an answer and checks that it is what was asked for.
func (c *client) readPage(target string) error {
	r, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	in := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		if in, err = gzip.NewReader(r.Body); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil { // what follows the compressed data
		return fmt.Errorf("read answer: %w", err)
	}
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %.100q", r.Status, body)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var about struct{ Path *string }
		if err := json.Unmarshal(body, &about); err != nil {
			return fmt.Errorf("%w: %.100q", err, body)
		}
		if about.Path != nil && *about.Path != target {
			return fmt.Errorf("the answer is to %s", *about.Path)
		}
		return nil
	}
	if len(body) == 0 {
		return fmt.Errorf("the answer is empty")
	}
	return nil
}
