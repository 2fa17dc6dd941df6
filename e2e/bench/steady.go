package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Production's clients: keep-alive connections of some requests each. They ask as
// fast as answers come, to find out what production can do, or at a fixed rate. At
// that nobody waits for the one before: latency counts from when a request was due,
// so that a server which stops for a moment is not asked less.

const (
	steadyConnections = 64
	steadyRequests    = 50 // of each connection
)

const steadyRequest = "GET /item HTTP/1.1\r\nHost: shop\r\nUser-Agent: bench\r\n\r\n"

// steadyFigures is what steadyMain prints.
type steadyFigures struct {
	Rate     float64 // requests answered per second
	P50, P99 float64 // ms
}

// steadyMain asks a server: address, requests per second (0: as fast as answers
// come), duration.
func steadyMain(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("%s: want an address, a rate and a duration", roleSteady)
	}
	rate, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var took []float64
	failed := make(chan error, steadyConnections)
	begun := time.Now()
	for i := range steadyConnections {
		all.Go(func() {
			times, err := steadyClient(args[0], i, rate, begun, d)
			if err != nil {
				failed <- err
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, times...)
		})
	}
	all.Wait()
	lasted := time.Since(begun)
	select {
	case err := <-failed:
		return err
	default:
	}
	if len(took) == 0 {
		return errors.New("nothing was asked")
	}
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(steadyFigures{
		Rate: float64(len(took)) / lasted.Seconds(), P50: took[len(took)/2], P99: took[len(took)*99/100],
	})
}

// steadyClient is the n-th of the connections, one after the other. It returns how
// long its answers took, in milliseconds.
func steadyClient(server string, n int, rate float64, begun time.Time, d time.Duration) (took []float64, err error) {
	var c net.Conn
	var r *bufio.Reader
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	for asked := 0; ; asked++ {
		due := time.Now()
		if rate > 0 {
			due = begun.Add(time.Duration(float64(asked*steadyConnections+n) / rate * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
		if due.Sub(begun) >= d {
			return took, nil
		}
		if asked%steadyRequests == 0 {
			if c != nil {
				c.Close()
			}
			if c, err = net.Dial("tcp", server); err != nil {
				return nil, err
			}
			r = bufio.NewReader(c)
		}
		if _, err := io.WriteString(c, steadyRequest); err != nil {
			return nil, err
		}
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(due).Microseconds())/1000)
	}
}

// steadyArgs are the arguments of a client at a rate.
func steadyArgs(host string, rate float64, d time.Duration) []string {
	return []string{roleSteady, net.JoinHostPort(host, strconv.Itoa(portHTTP)), strings.TrimSpace(fmt.Sprintf("%.0f", rate)), d.String()}
}
