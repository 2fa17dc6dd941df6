// Command mirror is the traffic mirror of the end-to-end tests: it sends a copy
// of each packet of a TCP port, in VXLAN, to another host, as clouds do.
//
//	mirror -from lo -port 80 -vni 7 -to 10.77.0.1:4789
//
// It says "mirroring" when it has begun; SIGTERM and SIGINT end it.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"tcpsandbox/capture"
)

func main() {
	from := flag.String("from", "lo", "interface")
	port := flag.Uint("port", 80, "the server's port")
	vni := flag.Uint("vni", 7, "network identifier")
	to := flag.String("to", "", "address and port of the receiver")
	flag.Parse()
	if err := mirror(*from, uint16(*port), uint32(*vni), *to); err != nil {
		fmt.Fprintln(os.Stderr, "mirror:", err)
		os.Exit(1)
	}
}

func mirror(from string, port uint16, vni uint32, to string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	receiver, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return err
	}
	// Not connected: the receiver's host has nothing that listens, says so by
	// ICMP, and is not to be heard.
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	src, err := capture.OpenLive(from, capture.LiveConfig{Ports: []uint16{port}})
	if err != nil {
		return err
	}
	defer src.Close()
	fmt.Fprintln(os.Stderr, "mirroring")
	buf := binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, vni<<8) // RFC 7348
	return src.Run(ctx, func(batch []capture.Packet) error {
		for _, p := range batch {
			if _, err := conn.WriteToUDP(append(buf[:8], p.Data...), receiver); err != nil {
				return fmt.Errorf("packet of %d bytes: %w", len(p.Data), err)
			}
		}
		return nil
	})
}
