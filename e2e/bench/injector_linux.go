package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"tcpsandbox/netsim"
)

// measurements in the order of the table.
var measurements = []measurement{
	{"connections", connections},
	{"streams", streams},
	{"clients", distinctClients},
	{"memory", memory},
	{"capture", captureRows},
	{"pacing", pacing},
	{"screen", screenRows},
	{"production", production},
}

// Rounds and lengths of one measurement. On two cores that others kept busy
// (load 5 to 18) the rate of short connections moved by a factor of six from
// run to run and its ratio between 0.45 and 0.9; their CPU time moved by 30 %
// and its ratio between 1.3 and 1.9. So rows are printed for both.
const (
	rounds       = 5
	shortLength  = 2 * time.Second
	streamLength = time.Second
)

// contest runs a load by turns through the sandbox and over veth.
type contest struct {
	bed  *bed
	veth *veth
	from clients
}

func newContest() (*contest, error) {
	v, err := newVeth()
	if err != nil {
		return nil, err
	}
	b, err := newBed()
	if err != nil {
		v.close()
		return nil, err
	}
	return &contest{bed: b, veth: v}, nil
}

func (c *contest) close() {
	c.bed.close()
	c.veth.close()
}

// sample is what one side did in one round.
type sample struct {
	rate   float64 // connections or bytes per second
	client float64 // seconds of CPU, user and system, for each connection or byte
	server float64
}

// middle returns the median of each value.
func middle(list []sample) sample {
	var rate, client, server []float64
	for _, s := range list {
		rate, client, server = append(rate, s.rate), append(client, s.client), append(server, s.server)
	}
	return sample{median(rate), median(client), median(server)}
}

// medians returns what both sides reach.
func (c *contest) medians(kind string, d time.Duration, ours func(*netsim.Net, *clients, time.Duration) (float64, error)) (us, kernel sample, err error) {
	var a, b []sample
	for i := range rounds + 1 {
		u, err := c.ours(d, ours)
		if err != nil {
			return us, kernel, fmt.Errorf("sandbox, %s: %w", kind, err)
		}
		k, err := c.kernel(kind, d)
		if err != nil {
			return us, kernel, err
		}
		if i > 0 { // the first warms up
			a, b = append(a, u), append(b, k)
		}
	}
	return middle(a), middle(b), nil
}

func (c *contest) ours(d time.Duration, load func(*netsim.Net, *clients, time.Duration) (float64, error)) (sample, error) {
	client, server := cpuTime(os.Getpid()), cpuTime(c.bed.app.Pid())
	begun := time.Now()
	rate, err := load(c.bed.net, &c.from, d)
	did := rate * time.Since(begun).Seconds()
	return sample{rate, (cpuTime(os.Getpid()) - client).Seconds() / did, (cpuTime(c.bed.app.Pid()) - server).Seconds() / did}, err
}

func (c *contest) kernel(kind string, d time.Duration) (sample, error) {
	server := cpuTime(c.veth.process.Process.Pid)
	begun := time.Now()
	rate, client, err := c.veth.load(kind, d)
	did := rate * time.Since(begun).Seconds()
	return sample{rate, client.Seconds() / did, (cpuTime(c.veth.process.Process.Pid) - server).Seconds() / did}, err
}

// cpuTime returns the CPU time of a process, user and system, with the
// kernel's resolution of 10 ms; 0 for one that has ended.
func cpuTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// proc_pid_stat(5): utime and stime are fields 14 and 15; the name, field
	// 2, may hold blanks but ends at the last parenthesis.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func connections() ([]row, error) {
	c, err := newContest()
	if err != nil {
		return nil, err
	}
	defer c.close()
	us, kernel, err := c.medians(loadShort, shortLength, visits)
	if err != nil {
		return nil, err
	}
	return []row{
		{
			Name: "short connections, sandbox ÷ kernel veth", Value: us.rate / kernel.rate, Unit: "×", Floor: 2,
			How: fmt.Sprintf("%.0f/s ÷ %.0f/s", us.rate, kernel.rate),
		},
		{
			Name: "CPU of a short connection, sandbox ÷ kernel veth", Value: (us.client + us.server) / (kernel.client + kernel.server), Unit: "×",
			How: fmt.Sprintf("client %.0f + server %.0f µs ÷ %.0f + %.0f µs", us.client*1e6, us.server*1e6, kernel.client*1e6, kernel.server*1e6),
		},
	}, nil
}

func streams() ([]row, error) {
	c, err := newContest()
	if err != nil {
		return nil, err
	}
	defer c.close()
	var rows []row
	for _, s := range []struct {
		kind  string
		floor float64
		ours  func(*netsim.Net, *clients, time.Duration) (float64, error)
	}{{loadUp, 0.7, streamUp}, {loadDown, 0.4, streamDown}} {
		us, kernel, err := c.medians(s.kind, streamLength, s.ours)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row{
			Name: "one stream " + s.kind + ", MTU 1500, sandbox ÷ kernel veth", Value: us.rate / kernel.rate, Unit: "×", Floor: s.floor,
			How: fmt.Sprintf("%.1f ÷ %.1f Gbit/s; CPU of client + server %.1f + %.1f ÷ %.1f + %.1f s/GB", us.rate*8e-9, kernel.rate*8e-9,
				us.client*1e9, us.server*1e9, kernel.client*1e9, kernel.server*1e9),
		})
	}
	return rows, nil
}

func distinctClients() ([]row, error) {
	const n = 5000
	var rows []row
	for _, family := range []struct {
		name   string
		v6     bool
		server netip.Addr
	}{{"IPv4", false, server4}, {"IPv6", true, server6}} {
		var once, twice []float64
		for i := range rounds + 1 {
			for count, list := range map[int]*[]float64{n: &once, 2 * n: &twice} {
				took, err := freshArrivals(netip.AddrPortFrom(family.server, portHTTP), family.v6, count)
				if err != nil {
					return rows, fmt.Errorf("%d %s clients: %w", count, family.name, err)
				}
				if i > 0 {
					*list = append(*list, took.Seconds())
				}
			}
		}
		a, b := median(once), median(twice)
		rows = append(rows, row{
			Name: "10,000 distinct " + family.name + " clients ÷ 5,000", Value: b / a, Unit: "×", Floor: 2.3, Most: true,
			How: fmt.Sprintf("%.2f s ÷ %.2f s", b, a),
		})
	}
	return rows, nil
}

// freshArrivals uses a stack that knows no address yet.
func freshArrivals(server netip.AddrPort, v6 bool, n int) (time.Duration, error) {
	b, err := newBed()
	if err != nil {
		return 0, err
	}
	defer b.close()
	return arrivals(b.net, server, &clients{v6: v6}, n)
}
