package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// What the planted bug is, and which request it spoils.
const (
	demoBug        = "it forgets the 10 % off from 200.00 up"
	demoBugRequest = "GET /cart"
)

// discountFrom is the sum in cents from which a cart is cheaper.
const discountFrom = 200_00

func demoServerCommand() *cobra.Command {
	var listen, billing string
	var bug bool
	cmd := &cobra.Command{
		Use:   "server",
		Short: "The demo's shop: a small HTTP server",
		Long: `Serves /, /product/N, /cart?user=N and POST /order, and answers the same request
with the same bytes each time, without a Date. With --bug one answer is wrong:
` + demoBug + `.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return serveDemo(listen, billing, bug)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", ":80", "where to listen, as ADDRESS:PORT")
	cmd.Flags().StringVar(&billing, "billing", "", "send a datagram about each order to ADDRESS:PORT")
	cmd.Flags().BoolVar(&bug, "bug", false, "plant the bug")
	return cmd
}

// serveDemo serves until a signal ends it.
func serveDemo(listen, billing string, bug bool) error {
	con := newConsole(true)
	ctx, stop := interruptible(con)
	defer stop()
	s := &shop{bug: bug}
	if billing != "" {
		conn, err := net.Dial("udp", billing)
		if err != nil {
			return cannot(err)
		}
		defer conn.Close()
		s.billing = conn
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return cannot(err)
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: time.Minute}
	go func() {
		<-ctx.Done()
		bounded, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Shutdown(bounded)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return cannot(fmt.Errorf("serve %s: %w", listen, err))
	}
	return nil
}

// shop is production, and the test application too.
type shop struct {
	bug     bool
	billing io.Writer // may be nil
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "<!doctype html><title>shop</title><p>Welcome")
	})
	mux.HandleFunc("GET /product/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseUint(r.PathValue("n"), 10, 16)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, "{\"product\":%d,\"price\":%d,\"text\":\"%064x\"}\n", n, price(n), sha256.Sum256([]byte{byte(n)}))
	})
	mux.HandleFunc("GET /cart", func(w http.ResponseWriter, r *http.Request) {
		user, err := strconv.ParseUint(r.FormValue("user"), 10, 16)
		if err != nil {
			http.Error(w, "which user?", http.StatusBadRequest)
			return
		}
		items, total := s.cart(user)
		fmt.Fprintf(w, "{\"user\":%d,\"items\":%d,\"total\":%d}\n", user, items, total)
	})
	mux.HandleFunc("POST /order", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "the order is too long", http.StatusRequestEntityTooLarge)
			return
		}
		if s.billing != nil {
			// Nobody has to be there: the shop goes on without.
			fmt.Fprintf(s.billing, "order of %d bytes", len(body))
		}
		fmt.Fprintf(w, "{\"order\":\"%x\"}\n", sha256.Sum256(body))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil // it would differ from second to second
		mux.ServeHTTP(w, r)
	})
}

// price is in cents.
func price(product uint64) uint64 { return 25_00 + product%7*100 }

// cart returns how many items a user's cart holds, and its price in cents.
// With and without the bug that has five digits, so that only they differ.
func (s *shop) cart(user uint64) (items, total uint64) {
	items = 5 + user%10
	total = items * price(user)
	if total >= discountFrom && !s.bug {
		total -= total / 10
	}
	return items, total
}
