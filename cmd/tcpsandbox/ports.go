package main

import (
	"fmt"
	"strconv"
	"strings"
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
	o.portMap = map[uint16]uint16{}
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
		f, err := port(from)
		if err != nil {
			return err
		}
		if _, twice := o.portMap[f]; twice {
			return fmt.Errorf("--app-port %s: port %d goes to two places", o.appPortFlag, f)
		}
		if o.portMap[f], err = port(to); err != nil {
			return err
		}
	}
	return nil
}

// appPort returns where the application serves what production served on port.
func (o *runOptions) appPort(port uint16) uint16 {
	if o.allPorts != 0 {
		return o.allPorts
	}
	if to, ok := o.portMap[port]; ok {
		return to
	}
	return port
}

// appPorts returns the ports on one of which the application must listen
// before anything is played; nil: any.
func (o *runOptions) appPorts() (ports []uint16) {
	if o.allPorts != 0 {
		return []uint16{o.allPorts}
	}
	for _, s := range o.specs {
		if len(s.Ports) == 0 {
			return nil
		}
		for _, port := range s.Ports {
			ports = append(ports, o.appPort(port))
		}
	}
	return ports
}
