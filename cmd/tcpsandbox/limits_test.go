package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tcpsandbox/sandbox"
)

func TestLimitFlags(t *testing.T) {
	for _, test := range []struct {
		args []string
		want sandbox.Limits
		fail string // part of the error
	}{
		{nil, sandbox.Limits{}, ""},
		{[]string{"--cpus", "0.5", "--memory", "512M", "--pids", "100"}, sandbox.Limits{CPUs: 0.5, Memory: 512 << 20, PIDs: 100}, ""},
		{[]string{"--cpus", "64"}, sandbox.Limits{CPUs: 64}, ""},
		{[]string{"--memory", "16M"}, sandbox.Limits{Memory: 16 << 20}, ""},
		{[]string{"--cpus", "0"}, sandbox.Limits{}, "at least 0.01"},
		{[]string{"--cpus", "-1"}, sandbox.Limits{}, "at least 0.01"},
		{[]string{"--cpus", "NaN"}, sandbox.Limits{}, "at least 0.01"},
		{[]string{"--cpus", "Inf"}, sandbox.Limits{}, "at least 0.01"},
		{[]string{"--memory", ""}, sandbox.Limits{}, "not a size"},
		{[]string{"--memory", "lots"}, sandbox.Limits{}, "not a size"},
		{[]string{"--memory", "1M"}, sandbox.Limits{}, "at least 16M"},
		{[]string{"--pids", "0"}, sandbox.Limits{}, "between 1"},
		{[]string{"--pids", "9999999"}, sandbox.Limits{}, "between 1"},
	} {
		var l limitFlags
		f := pflag.NewFlagSet("run", pflag.ContinueOnError)
		l.flags(f)
		if err := f.Parse(test.args); err != nil {
			t.Fatal(err)
		}
		err := l.complete(f.Changed)
		switch {
		case test.fail == "" && (err != nil || l.limits != test.want):
			t.Errorf("%q: %+v, %v, want %+v", test.args, l.limits, err, test.want)
		case test.fail != "" && (err == nil || !strings.Contains(err.Error(), test.fail)):
			t.Errorf("%q: %v, want ...%s", test.args, err, test.fail)
		}
	}
}
