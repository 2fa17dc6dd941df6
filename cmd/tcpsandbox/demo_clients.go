package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// Limits of the demo's traffic.
const (
	demoKeepAlive = 8    // connections that stay
	demoMaxRate   = 2000 // requests a second; this is no load generator
	demoMaxShort  = 64   // short connections at once
	demoPatience  = 10 * time.Second
)

// demoTraffic is what the clients are told to do.
type demoTraffic struct {
	to       string
	from     []string // local addresses, in turn; none: the kernel's choice
	rate     int      // requests a second in all
	duration time.Duration
}

func demoClientsCommand() *cobra.Command {
	var t demoTraffic
	cmd := &cobra.Command{
		Use:   "clients --to ADDRESS:PORT",
		Short: "The demo's clients: keep-alive and short connections",
		Long: `Sends requests to the demo's server until --duration is over or it is
interrupted: two thirds over connections that stay open, one third over a
connection each. Then it says how many were answered.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.to == "" {
				return misuse(cmd, "no --to: name the demo's server, such as --to 10.77.0.1:80")
			}
			if t.rate < 3 || t.rate > demoMaxRate {
				return misuse(cmd, "--rate must lie between 3 and %d, not %d", demoMaxRate, t.rate)
			}
			for _, a := range t.from {
				if _, err := netip.ParseAddr(a); err != nil {
					return misuse(cmd, "--from %s: not an IP address", a)
				}
			}
			ctx, stop := interruptible(newConsole(true))
			defer stop()
			if t.duration > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, t.duration)
				defer cancel()
			}
			return t.send(ctx, os.Stdout)
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.to, "to", "", "the server, as ADDRESS:PORT")
	f.StringSliceVar(&t.from, "from", nil, "the clients' own addresses, used in turn (default: the kernel's choice)")
	f.IntVar(&t.rate, "rate", 300, "requests a second in all")
	f.DurationVar(&t.duration, "duration", time.Minute, "stop after this long; 0: never")
	return cmd
}

// send plays all clients until ctx ends. It writes a line when the connections
// that stay are open, and another at the end.
func (t *demoTraffic) send(ctx context.Context, out io.Writer) error {
	if err := t.waitServer(ctx); err != nil {
		return cannot(err)
	}
	var tally demoTally
	var clients, opened sync.WaitGroup
	opened.Add(demoKeepAlive)
	for i := range demoKeepAlive {
		clients.Go(func() {
			c := t.client(i, false)
			tally.count(visit(c, t.to, i))
			opened.Done()
			every := time.Second * 3 * demoKeepAlive / time.Duration(2*t.rate)
			for n := i + 1; wait(ctx, every); n++ {
				tally.count(visit(c, t.to, n))
			}
			c.CloseIdleConnections()
		})
	}
	clients.Go(func() { t.shortConnections(ctx, &tally) })
	opened.Wait()
	fmt.Fprintf(out, "clients: %d connections are open, %d requests a second are on their way\n", demoKeepAlive, t.rate)
	clients.Wait()
	done, failed, first := tally.done, tally.failed, tally.first
	fmt.Fprintf(out, "clients: production answered %s of %s requests\n", number(done-failed), number(done))
	if failed > 0 {
		return exitError{exitDifferent, fmt.Errorf("%d requests failed, first: %w", failed, first)}
	}
	return nil
}

// shortConnections opens a connection for each request.
func (t *demoTraffic) shortConnections(ctx context.Context, tally *demoTally) {
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, demoMaxShort)
	for n := 0; wait(ctx, time.Second*3/time.Duration(t.rate)); n++ {
		room <- struct{}{}
		wg.Go(func() {
			tally.count(visit(t.client(n, true), t.to, n))
			<-room
		})
	}
}

// waitServer returns when the server answers.
func (t *demoTraffic) waitServer(ctx context.Context) error {
	for deadline := time.Now().Add(demoPatience); ; {
		err := visit(t.client(0, true), t.to, 0)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if !wait(ctx, 50*time.Millisecond) {
			return err
		}
	}
}

// client returns the i-th client. A short one says Connection: close.
func (t *demoTraffic) client(i int, short bool) *http.Client {
	d := &net.Dialer{Timeout: demoPatience}
	if len(t.from) > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(t.from[i%len(t.from)])}
	}
	return &http.Client{
		Timeout:   demoPatience,
		Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: short},
	}
}

// visit makes the n-th request of a round through the shop.
func visit(c *http.Client, to string, n int) error {
	base := "http://" + to
	var res *http.Response
	var err error
	switch n % 4 {
	case 0:
		res, err = c.Get(base + "/")
	case 1:
		res, err = c.Get(fmt.Sprintf("%s/product/%d", base, n/4%100))
	case 2:
		res, err = c.Get(fmt.Sprintf("%s/cart?user=%d", base, n/4%100))
	case 3: // short enough for one packet: a capture that begins now splits no request
		res, err = c.Post(base+"/order", "text/plain", strings.NewReader(strings.Repeat("one more of each, please\n", 1+n/4%50)))
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return fmt.Errorf("read the answer of %s: %w", to, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", to, res.Status)
	}
	return nil
}

// wait returns false as soon as ctx ends, else true after d.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// demoTally counts requests; it is safe for concurrent use.
type demoTally struct {
	mu           sync.Mutex
	done, failed int
	first        error
}

func (t *demoTally) count(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	if err != nil {
		if t.failed++; t.first == nil {
			t.first = err
		}
	}
}
