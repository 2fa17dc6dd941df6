//go:build !linux

package main

import "os"

// terminalGuard exists on Linux only.
type terminalGuard struct{}

// guardTerminal guards nothing: the nil guard.
func guardTerminal(*os.File) (*terminalGuard, error) { return nil, nil }

func (g *terminalGuard) release() {}
func (g *terminalGuard) restore() {}

func guardMain() {}
