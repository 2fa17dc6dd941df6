package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"tcpsandbox/capture"
	"tcpsandbox/capture/expr"
)

// picked is what the command line says about which packets of a source are
// used.
type picked struct {
	filterText string
	filter     *expr.Filter // nil: all packets
	tunnels    string
}

func (p *picked) flags(f *pflag.FlagSet) {
	f.StringVar(&p.filterText, "filter", "", "use only packets that match this expression in tcpdump's language, or inside of which (tunnels) a packet does")
	f.StringVar(&p.tunnels, "tunnels", "auto", "on: look into VXLAN, GRE and the like; off: do not; auto: on but for the interface any, which sees a packet in and out of its tunnel")
}

// complete checks and reads what was given.
func (p *picked) complete() (err error) {
	switch p.tunnels {
	case "auto", "on", "off":
	default:
		return fmt.Errorf("--tunnels must be auto, on or off, not %q", p.tunnels)
	}
	if p.filterText != "" {
		p.filter, err = expr.Parse(p.filterText)
	}
	return err
}

// intoTunnels reports whether a source's tunnels are looked into. All
// interfaces together show overlay traffic twice, and each session would be
// played twice; on one interface, as in a file, it is there once.
func (p *picked) intoTunnels(spec capture.Spec) bool {
	return p.tunnels == "on" || p.tunnels == "auto" && spec.Source != "any"
}

// open opens a source for the packets that are wanted.
func (p *picked) open(spec capture.Spec) (capture.Source, error) {
	return p.openWatched(spec, false, nil)
}

// openWatched is open for a source that may grow, or come and go; notice is
// told about that.
func (p *picked) openWatched(spec capture.Spec, follow bool, notice func(text string)) (capture.Source, error) {
	src, err := spec.Open(capture.LiveConfig{Filter: p.filter, Tunnels: p.intoTunnels(spec), Follow: follow, Notice: notice})
	if spec.IsLive() && errors.Is(err, os.ErrPermission) {
		err = sendToDoctor(err)
	}
	return src, err
}
