//go:build !linux

package main

import "errors"

// Without TUN devices and namespaces only reading captures can be measured.
var measurements = []measurement{{"capture", captureRows}}

func screenMain() error { return errors.ErrUnsupported }

func steadyMain([]string) error { return errors.ErrUnsupported }

func memoryMain([]string) error { return errors.ErrUnsupported }
