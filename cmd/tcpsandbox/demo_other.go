//go:build !linux

package main

import (
	"errors"
	"fmt"
	"io"
	"time"
)

func demo(io.Writer, time.Duration, bool) (int, error) {
	return exitCannot, cannot(fmt.Errorf("make the demo's network namespaces: %w", errors.ErrUnsupported))
}
