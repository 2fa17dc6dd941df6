//go:build !linux

package main

// giveUpRights has nothing to give up: rights that can be are Linux's.
func giveUpRights(errands) (kept []string, why string, err error) { return nil, "", nil }

func linksC() bool { return false }
