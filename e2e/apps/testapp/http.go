package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// serveHTTP answers the same request with the same bytes, always: no Date.
//
//	GET  /item/NAME   a short text
//	GET  /bytes/N     N bytes
//	POST /digest      length and SHA-256 of the body
//	POST /pattern/N   whether the body is the pattern from N on
func (b *behaviour) serveHTTP(l net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /item/{name}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "item %s\n", r.PathValue("name"))
	})
	mux.HandleFunc("GET /bytes/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("n"))
		if err != nil {
			http.Error(w, "not a number", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		in := rand.NewChaCha8([32]byte{byte(n)})
		if b.flip >= 0 && b.flip < int64(n) {
			var wrong [1]byte
			io.CopyN(w, in, b.flip)
			in.Read(wrong[:])
			w.Write([]byte{wrong[0] ^ 1})
			io.CopyN(w, in, int64(n)-b.flip-1)
			return
		}
		io.CopyN(w, in, int64(n))
	})
	mux.HandleFunc("POST /digest", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%d %x\n", n, sum.Sum(nil))
	})
	mux.HandleFunc("POST /pattern/{from}", servePattern)
	check(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !b.messages.request(r) {
			return
		}
		b.count()
		if b.delay > 0 {
			time.Sleep(b.delay)
		}
		w.Header()["Date"] = nil
		if b.plant != "" && r.URL.Path == b.plant {
			fmt.Fprintln(w, "a planted bug")
			return
		}
		mux.ServeHTTP(w, r)
	})))
}
