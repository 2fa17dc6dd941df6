package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/rogpeppe/go-internal/testscript"

	"tcpsandbox/e2e/apps/connlog"
)

// cmdTally checks conditions on what a connection log comes to:
//
//	connections       lines
//	clients           different addresses and ports of clients
//	hosts             different addresses of clients
//	streams           different streams of bytes
//	spread            different addresses that each stream came from, at least
//	bytes             in all
//	eof, reset, open  how many ended so
func cmdTally(ts *testscript.TestScript, w *world, args []string) error {
	entries, err := connlog.Read(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	clients, hosts, streams := map[string]bool{}, map[netip.Addr]bool{}, map[string]map[netip.Addr]bool{}
	ends := map[string]float64{connlog.EOF: 0, connlog.Reset: 0, connlog.Open: 0}
	bytes := int64(0)
	for _, e := range entries {
		addr, err := netip.ParseAddrPort(e.Client)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		clients[e.Client], hosts[addr.Addr()] = true, true
		if streams[e.SHA256] == nil {
			streams[e.SHA256] = map[netip.Addr]bool{}
		}
		streams[e.SHA256][addr.Addr()] = true
		ends[e.End]++
		bytes += e.Bytes
	}
	spread := len(entries)
	for _, from := range streams {
		spread = min(spread, len(from))
	}
	doc := map[string]any{
		"connections": float64(len(entries)), "clients": float64(len(clients)), "hosts": float64(len(hosts)),
		"streams": float64(len(streams)), "bytes": float64(bytes), "spread": float64(spread),
	}
	for how, n := range ends {
		doc[how] = n
	}
	return checkAll(doc, args[1:], args[0])
}

// cmdFigures prints values of a report, for those who read the test's output.
func cmdFigures(ts *testscript.TestScript, w *world, args []string) error {
	var doc any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	for _, path := range args[1:] {
		v, err := lookup(doc, path)
		if err != nil {
			return err
		}
		ts.Logf("%s: %s = %v", args[0], path, v)
	}
	return nil
}
