package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// redis sends commands whose effect depends on nothing but the commands before
// them on the same connection: each connection has keys of its own.
func (w *work) redis(c *client) error {
	if err := c.dial(); err != nil {
		return err
	}
	for i := 0; i < w.requests; {
		n := min(w.pipeline, w.requests-i)
		var raw strings.Builder
		for range n {
			args := c.command(i)
			fmt.Fprintf(&raw, "*%d\r\n", len(args))
			for _, a := range args {
				fmt.Fprintf(&raw, "$%d\r\n%s\r\n", len(a), a)
			}
			i++
		}
		if err := c.send([]byte(raw.String())); err != nil {
			return err
		}
		for range n {
			if err := c.readReply(); err != nil {
				return fmt.Errorf("connection %d: %w", c.number, err)
			}
			c.asked++
		}
		if err := c.answered(); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) command(i int) []string {
	key := func(kind string) string { return fmt.Sprintf("client:%d:%s:%d", c.number, kind, i%7) }
	value := fmt.Sprintf("%x", content(5+i%200, c.number, i))
	switch i % 9 {
	case 0:
		return []string{"SET", key("text"), value}
	case 1:
		return []string{"GET", key("text")}
	case 2:
		return []string{"INCR", key("count")}
	case 3:
		return []string{"LPUSH", key("list"), value, strconv.Itoa(i)}
	case 4:
		return []string{"LRANGE", key("list"), "0", "3"}
	case 5:
		return []string{"HSET", key("hash"), strconv.Itoa(i), value}
	case 6:
		return []string{"APPEND", key("text"), value}
	case 7:
		return []string{"ZADD", key("sorted"), strconv.Itoa(i), value}
	default:
		return []string{"HLEN", key("hash")}
	}
}

// readReply reads one reply, whatever it holds, unless it is an error.
func (c *client) readReply() error {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return err
	}
	line = strings.TrimSuffix(line, "\r\n")
	switch line[0] {
	case '+', ':':
		return nil
	case '$', '*':
		n, err := strconv.Atoi(line[1:])
		if err != nil {
			return fmt.Errorf("reply %q: %w", line, err)
		}
		if line[0] == '*' {
			for range n {
				if err := c.readReply(); err != nil {
					return err
				}
			}
		} else if n >= 0 {
			_, err = io.CopyN(io.Discard, c.in, int64(n)+2)
		}
		return err
	}
	return fmt.Errorf("reply is %q", line)
}
