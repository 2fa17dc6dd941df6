//go:build !linux

package main

import (
	"context"

	"tcpsandbox/doctor"
)

// tryUserNamespace tells that there are none: they are Linux' own.
func tryUserNamespace(context.Context) *doctor.Trial {
	return &doctor.Trial{Failed: "user namespaces need Linux"}
}
