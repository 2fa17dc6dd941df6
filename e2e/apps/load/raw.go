package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
)

// halfClose sends, closes its half and reads the answer, on a connection for
// each request.
func (w *work) halfClose(c *client) error {
	for i := range w.requests {
		if err := c.dial(); err != nil {
			return err
		}
		body := content(w.size, c.number, i)
		if err := c.send(body); err != nil {
			return err
		}
		if err := c.conn.CloseWrite(); err != nil {
			return err
		}
		answer, err := io.ReadAll(c.in)
		if err != nil {
			return err
		}
		if err := exactly(fmt.Sprintf("%d %x\n", len(body), sha256.Sum256(body)))(answer); err != nil {
			return err
		}
		c.asked++
		if err := c.answered(); err != nil {
			return err
		}
		if err := c.close(); err != nil {
			return err
		}
	}
	return nil
}

// frames waits for the greeting, then sends frames of growing size and reads
// the answer to each.
func (w *work) frames(c *client) error {
	if err := c.dial(); err != nil {
		return err
	}
	if _, err := c.readFrame(); err != nil {
		return fmt.Errorf("read greeting: %w", err)
	}
	for i := range w.requests {
		payload := content(10+100*i, c.number, i)
		if i == 0 {
			payload = fmt.Appendf(nil, "hello of %d", c.number)
		}
		if err := c.send(append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)); err != nil {
			return err
		}
		answer, err := c.readFrame()
		if err != nil {
			return fmt.Errorf("read frame: %w", err)
		}
		if err := exactly(fmt.Sprintf("%d %x", len(payload), sha256.Sum256(payload)))(answer); err != nil {
			return err
		}
		c.asked++
		if err := c.answered(); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) readFrame() ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(c.in, n[:]); err != nil {
		return nil, err
	}
	p := make([]byte, binary.BigEndian.Uint32(n[:]))
	_, err := io.ReadFull(c.in, p)
	return p, err
}
