// Command oracle is an application that behaves as production's server did: it
// reads a capture, learns what the server said after how many of the client's
// bytes, listens where it listened and plays its side of each connection.
//
//	oracle -capture shop.pcap -record app.log
//
// What the replay makes of the same capture can thus be judged: each answer is
// to be production's, and the record holds what each client sent. To be no
// accomplice in an error, the oracle shares no code with package capture. It
// decodes with gopacket and lays out the streams of a whole file at once.
//
// In the order in which a packet meets them:
//
//	file.go    the file: packets, each with its link type
//	decode.go  the segment in it, through tags, tunnels and fragments
//	script.go  the connection: what the server did, and after what
//	play.go    one connection of the replay, played by its script
//
// The server's bytes are sent as late as production can have sent them: not
// before all that the packet which carried them acknowledged has come. So a
// replay that holds back what production's client sent early waits for ever.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"tcpsandbox/e2e/apps/connlog"
)

func main() {
	capture := flag.String("capture", "", "file to learn from")
	record := flag.String("record", "", "file for what was received, a line a connection")
	flag.Parse()

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	log, err := connlog.Create(*record)
	check(err)
	scripts, err := readScripts(*capture)
	check(err)
	s, err := serve(scripts, log)
	check(err)
	fmt.Println("oracle is ready")
	<-ended
	s.close()
	check(log.Close())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}
