//go:build !linux

package main

// isExiting knows of no process: there is no sandbox here.
func isExiting(int) bool { return false }
