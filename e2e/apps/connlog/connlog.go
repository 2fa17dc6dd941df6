// Package connlog is the record that both ends of a test keep of their
// connections: the load writes what it sent from which address, the
// application what it received and from whom. Where the two files agree, each
// client's bytes arrived, unchanged and in order, from the client's own
// address.
//
// A file holds one JSON object a line and connection, written when the
// connection ends.
package connlog

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
)

// How a connection ended, as the one who keeps the log saw it.
const (
	EOF   = "eof"   // in order
	Reset = "reset" // with an RST, of either side
	Open  = "open"  // not at all: the log was closed first
	// UDP is the end of all UDP sessions: they have none.
	UDP = "udp"
)

// Entry is one connection.
type Entry struct {
	Client string `json:"client"` // address and port
	Server string `json:"server"`
	Bytes  int64  `json:"bytes"`  // of the client's stream
	SHA256 string `json:"sha256"` // of the same bytes, in hexadecimal digits
	End    string `json:"end"`    // one of the constants above
	// Content is the client's stream itself, where the log keeps it: a receiver
	// that stopped in the middle has a beginning of it, of any length.
	Content []byte `json:"content,omitempty"`
}

// Log is a file of entries. Its methods may be called concurrently.
type Log struct {
	mu   sync.Mutex
	file *os.File
	open map[*Connection]bool

	// Content keeps Entry.Content; set it before the first connection.
	Content bool
}

// Create makes or empties the file.
func Create(path string) (*Log, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &Log{file: f, open: make(map[*Connection]bool)}, nil
}

// Connection measures the client's bytes of one connection.
type Connection struct {
	log    *Log
	entry  Entry
	digest hash.Hash
	udp    bool
}

// Connection begins an entry. Both addresses must be those of a TCP or a UDP
// socket.
func (l *Log) Connection(client, server net.Addr) *Connection {
	c := &Connection{log: l, digest: sha256.New()}
	_, c.udp = client.(*net.UDPAddr)
	c.entry.Client, c.entry.Server = plain(client), plain(server)
	l.mu.Lock()
	l.open[c] = true
	l.mu.Unlock()
	return c
}

// plain writes an address as IPv4 where it is one in IPv6's clothes.
func plain(a net.Addr) string {
	p := a.(interface{ AddrPort() netip.AddrPort }).AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port()).String()
}

// Write counts the next bytes of the client's stream. It never fails.
func (c *Connection) Write(p []byte) (int, error) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.entry.Bytes += int64(len(p))
	if c.log.Content {
		c.entry.Content = append(c.entry.Content, p...)
	}
	return c.digest.Write(p)
}

// Datagram counts the client's next datagram; the digest is one of lengths and
// contents, so that it tells where each ended.
func (c *Connection) Datagram(p []byte) {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.entry.Bytes += int64(len(p))
	c.digest.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
	c.digest.Write(p)
}

// End writes the entry. Only the first call counts.
func (c *Connection) End(how string) error {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.end(how)
}

func (c *Connection) end(how string) error {
	if !c.log.open[c] {
		return nil
	}
	delete(c.log.open, c)
	if c.udp {
		how = UDP
	}
	c.entry.End, c.entry.SHA256 = how, hex.EncodeToString(c.digest.Sum(nil))
	line, err := json.Marshal(&c.entry)
	if err != nil {
		return err
	}
	_, err = c.log.file.Write(append(line, '\n'))
	return err
}

// Close writes the entries of the connections that are still open.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		if err := c.end(Open); err != nil {
			return err
		}
	}
	return l.file.Close()
}

// Read returns the entries of a file. A last line that is not whole yet is
// left out, so that a file may be read while it grows.
func Read(path string) ([]Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Entry
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		var e Entry
		if err := json.Unmarshal(bytes.TrimSpace(line), &e); err != nil {
			return nil, fmt.Errorf("read %s: line %d: %w", path, len(all)+1, err)
		}
		all = append(all, e)
	}
}
