package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"tcpsandbox/capture"
)

func TestFollowFlags(t *testing.T) {
	for _, c := range []struct {
		sources []string
		args    []string
		want    string // in the error; "": none
	}{
		{[]string{"eth0"}, nil, ""},
		{[]string{"shop.pcap"}, []string{"--follow"}, ""},
		{[]string{"eth0", "shop.pcap", "-"}, []string{"--follow"}, ""},
		{[]string{"eth0"}, []string{"--follow"}, "--follow: no --capture is a file"},
		{[]string{"-"}, []string{"--follow"}, "--follow: no --capture is a file"},
		{[]string{"shop.pcap"}, []string{"--follow", "--repeat", "2"}, "--repeat 2"},
		{[]string{"shop.pcap"}, []string{"--follow", "--only-complete"}, "--only-complete"},
		{[]string{"shop.pcap"}, []string{"--repeat", "2", "--only-complete"}, ""},
	} {
		var o followFlags
		var ctl controls
		cmd := &cobra.Command{}
		o.flags(cmd.Flags())
		ctl.flags(cmd.Flags())
		if err := cmd.Flags().Parse(c.args); err != nil {
			t.Fatal(err)
		}
		var specs []capture.Spec
		for _, s := range c.sources {
			specs = append(specs, capture.Spec{Source: s})
		}
		err := o.complete(specs, &ctl)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %q: got %v, want %q", c.sources, c.args, err, c.want)
		}
	}
}

// TestFollowedIsLive: a file that grows is played as it comes, and may wait
// where an interface cannot.
func TestFollowedIsLive(t *testing.T) {
	o := &runOptions{paceFlag: "live", specs: []capture.Spec{{Source: "shop.pcap"}}, controls: controls{speed: 1}}
	if o.newPace() == nil {
		t.Error("a file has no pace")
	}
	o.follow = true
	if o.newPace() != nil {
		t.Error("a file that grows has a pace")
	}
	src, err := capture.OpenFollowed(t.TempDir()+"/shop.pcap", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f := &feed{src: src, followed: true}
	if !src.Live() || f.live() {
		t.Errorf("live: the source %v, the feed %v", src.Live(), f.live())
	}
}
