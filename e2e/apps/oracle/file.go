package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// Numbers at the beginning of a file: pcap with times in microseconds or
// nanoseconds, the form that Kuznetzov's patches gave it (with eight bytes more
// for each packet), pcapng.
const (
	magicMicro     = 0xa1b2c3d4
	magicNano      = 0xa1b23c4d
	magicKuznetzov = 0xa1b2cd34
	magicNg        = 0x0a0d0d0a
)

// readFile calls f for each packet of a capture file. A file that is cut off
// ends where it does.
func readFile(path string, f func(link layers.LinkType, data []byte)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReader(file)
	magic, err := r.Peek(4)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if binary.BigEndian.Uint32(magic) == magicNg {
		err = readNg(r, f)
	} else {
		err = readPcap(r, f)
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func readNg(r io.Reader, f func(layers.LinkType, []byte)) error {
	ng, err := pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		return err
	}
	for {
		data, info, err := ng.ReadPacketData()
		if err != nil {
			return err
		}
		f(info.AncillaryData[0].(layers.LinkType), data)
	}
}

// readPcap reads the older format by itself: gopacket's reader knows neither
// Kuznetzov's form nor packets beyond the snap length that the file claims.
func readPcap(r io.Reader, f func(layers.LinkType, []byte)) error {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	order, record := binary.ByteOrder(nil), 16
	for _, o := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch o.Uint32(head[:]) {
		case magicKuznetzov:
			record = 24
			fallthrough
		case magicMicro, magicNano:
			order = o
		}
	}
	if order == nil {
		return fmt.Errorf("no capture file: it begins with % x", head[:4])
	}
	link := layers.LinkType(order.Uint32(head[20:]) & 0xffff) // above: bits about checksums
	for {
		if _, err := io.ReadFull(r, head[:record]); err != nil {
			return err
		}
		n := order.Uint32(head[8:])
		if n > 1<<20 {
			return fmt.Errorf("a packet of %d bytes", n)
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(r, data); err != nil {
			return err
		}
		f(link, data)
	}
}
