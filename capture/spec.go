package capture

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"tcpsandbox/capture/expr"
)

// Spec is where to capture and which server ports, as the command line names
// it: SOURCE[:PORT[,PORT…]], where 53/udp is a port of UDP.
type Spec struct {
	Source string   // an interface, "any", a file's path, or "-" for the standard input
	Ports  []uint16 // of TCP; empty: all, or none where UDP is not
	UDP    []uint16 // of UDP; empty: none
}

// SpecError is a source that cannot be understood.
type SpecError struct {
	Spec string
	err  error
}

func (e *SpecError) Error() string { return fmt.Sprintf("capture source %q: %v", e.Spec, e.err) }
func (e *SpecError) Unwrap() error { return e.err }

// Hint shows the forms that a source may have.
func (e *SpecError) Hint() string {
	return "name an interface, a capture file or - (standard input), and the ports: eth0:80,443  shop.pcap  -:80  eth0:53/udp"
}

// ParseSpec reads a source as the command line names it. What follows the last
// colon is ports; but a file that exists under the whole name wins, so that
// names with colons work. Errors are a *SpecError.
func ParseSpec(s string) (Spec, error) {
	fail := func(format string, args ...any) (Spec, error) {
		return Spec{}, &SpecError{Spec: s, err: fmt.Errorf(format, args...)}
	}
	if s == "" {
		return fail("it is empty")
	}
	if isFile(s) {
		return Spec{Source: s}, nil
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return Spec{Source: s}, nil
	}
	spec := Spec{Source: s[:colon]}
	if spec.Source == "" {
		return fail("nothing stands before the colon")
	}
	if s[colon+1:] == "" {
		return fail("no port follows the colon")
	}
	for text := range strings.SplitSeq(s[colon+1:], ",") {
		number, udp := strings.CutSuffix(text, "/udp")
		if !udp {
			number = strings.TrimSuffix(text, "/tcp")
		}
		port, err := strconv.ParseUint(number, 10, 16)
		switch {
		case errors.Is(err, strconv.ErrRange), err == nil && port == 0:
			return fail("port %s is not in 1-65535", number)
		case err != nil && strings.ContainsAny(number, "./"):
			return fail("%w", &os.PathError{Op: "open", Path: s, Err: os.ErrNotExist})
		case err != nil:
			return fail("port %q is not a number", text)
		}
		list := &spec.Ports
		if udp {
			list = &spec.UDP
		}
		if !slices.Contains(*list, uint16(port)) {
			*list = append(*list, uint16(port))
		}
	}
	return spec, nil
}

// String returns the spec as ParseSpec reads it.
func (s Spec) String() string {
	var b strings.Builder
	b.WriteString(s.Source)
	for i, p := range s.Ports {
		b.WriteByte(":,"[min(i, 1)])
		b.WriteString(strconv.Itoa(int(p)))
	}
	for i, p := range s.UDP {
		b.WriteByte(":,"[min(i+len(s.Ports), 1)])
		b.WriteString(strconv.Itoa(int(p)) + "/udp")
	}
	return b.String()
}

// Open opens the source: the standard input for "-", a file where one exists,
// else the interface of that name, capturing only the spec's ports (cfg.Ports
// and cfg.UDP are not used). Of files and streams, cfg.Filter and cfg.Tunnels
// are used, as in Filtered, and of files cfg.Follow and cfg.Notice.
func (s Spec) Open(cfg LiveConfig) (src Source, err error) {
	switch {
	case s.Source == "-":
		src, err = OpenStream(os.Stdin, "-")
	case !s.IsLive() && cfg.Follow:
		src, err = OpenFollowed(s.Source, cfg.Notice)
	case !s.IsLive():
		src, err = OpenFile(s.Source)
	default:
		cfg.Ports, cfg.UDP = s.Ports, s.UDP
		return OpenLive(s.Source, cfg)
	}
	if err != nil {
		return nil, err
	}
	return Filtered(src, cfg.Filter, cfg.Tunnels), nil
}

// IsLive reports whether the source is an interface.
func (s Spec) IsLive() bool {
	return s.Source != "-" && !isFile(s.Source) && !strings.ContainsRune(s.Source, os.PathSeparator) && !strings.Contains(s.Source, ".pcap")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// LiveConfig sets a live capture up. The zero value is usable.
type LiveConfig struct {
	// Ports and UDP let only packets from or to these ports of TCP and UDP
	// through, in the kernel. No UDP ports mean no UDP; no TCP ports mean all
	// of TCP, or none where there are UDP ports.
	Ports, UDP []uint16
	// Tunnels also lets through what the assembler finds inside of VXLAN,
	// GENEVE, GTP-U, GRE, ERSPAN, IP in IP, 6in4, PPPoE and MPLS. The kernel
	// looks at the inner ports where the layout allows it: see
	// filter_tunnel.go for what it passes on unseen. Where overlay traffic is
	// also captured in the clear, as on "any", each connection then is two
	// sessions.
	Tunnels bool
	// Filter lets only packets through that match, nil all: what it can decide
	// there in the kernel, the rest in Run. See Filtered for its meaning inside
	// of tunnels, and for fragments. OpenLive refuses one that cannot be asked
	// of what the interface carries.
	Filter *expr.Filter
	// Notice is told what happens to the interface: that it is down, gone, up
	// again. The goroutine of Run calls it; nil: nobody is told.
	Notice func(text string)
	// Follow has Spec.Open follow a file as it grows: see OpenFollowed. It means
	// nothing to OpenLive.
	Follow bool
	// BlockSize and Blocks are the size of the ring that the kernel writes
	// to: locked kernel memory of BlockSize × Blocks bytes. BlockSize must be
	// a multiple of the page size and exceed the largest packet. The
	// defaults, 128 KiB × 512 = 64 MiB, hold 64 KiB packets (what offload
	// makes by default; of BIG TCP's larger ones the end is cut), and two
	// seconds of a stalled reader even where little traffic makes the kernel
	// hand over nearly empty blocks (512 × Retire). Where the kernel has less
	// memory to give, the ring is halved until it fits.
	BlockSize, Blocks int
	// Retire is after what time the kernel hands over a block that is not
	// full. Default 4 ms: packets come at most so late, and an idle or slow
	// capture wakes at most 250 times a second. Whole milliseconds.
	Retire time.Duration
}

func (c LiveConfig) withDefaults() LiveConfig {
	if c.BlockSize <= 0 {
		c.BlockSize = 128 << 10
	}
	if c.Blocks <= 0 {
		c.Blocks = 512
	}
	if c.Retire <= 0 {
		c.Retire = 4 * time.Millisecond
	}
	return c
}
