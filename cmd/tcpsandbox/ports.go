package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tcpsandbox/sandbox"
)

// parseAppPort reads --app-port.
func (o *runOptions) parseAppPort() error {
	if o.appPortFlag == "" {
		return nil
	}
	port := func(s string) (uint16, error) {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return 0, fmt.Errorf("--app-port %s: %q is no port: 1 to 65535, or FROM=TO,…", o.appPortFlag, s)
		}
		return uint16(n), nil
	}
	o.portMap = map[sandbox.Port]uint16{}
	for _, part := range strings.Split(o.appPortFlag, ",") {
		from, to, mapped := strings.Cut(part, "=")
		if !mapped {
			if part != o.appPortFlag {
				return fmt.Errorf("--app-port %s: several ports need FROM=TO each", o.appPortFlag)
			}
			var err error
			o.allPorts, err = port(part)
			return err
		}
		number, udp := strings.CutSuffix(from, "/udp")
		f, err := port(number)
		if err != nil {
			return err
		}
		key := sandbox.Port{Number: f, UDP: udp}
		if _, twice := o.portMap[key]; twice {
			return fmt.Errorf("--app-port %s: port %v goes to two places", o.appPortFlag, key)
		}
		if o.portMap[key], err = port(to); err != nil {
			return err
		}
	}
	return nil
}

// appPort returns where the application serves what production served on port.
// What is said of a port is true for TCP and UDP unless UDP's has a place of
// its own.
func (o *runOptions) appPort(port sandbox.Port) sandbox.Port {
	to := port
	if mapped, ok := o.portMap[sandbox.Port{Number: port.Number}]; ok {
		to.Number = mapped
	}
	if mapped, ok := o.portMap[port]; ok {
		to.Number = mapped
	}
	if o.allPorts != 0 {
		to.Number = o.allPorts
	}
	return to
}

// appPorts returns the ports on one of which the application must listen
// before anything is played; nil: any of TCP.
func (o *runOptions) appPorts() (ports []sandbox.Port) {
	for _, s := range o.specs {
		all := append(sandbox.TCP(s.Ports...), sandbox.UDP(s.UDP...)...)
		if len(all) == 0 { // all of TCP
			if o.allPorts == 0 {
				return nil
			}
			all = sandbox.TCP(o.allPorts)
		}
		for _, port := range all {
			if to := o.appPort(port); !slices.Contains(ports, to) {
				ports = append(ports, to)
			}
		}
	}
	return ports
}
