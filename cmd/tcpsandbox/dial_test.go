package main

import (
	"reflect"
	"testing"

	"tcpsandbox/netsim"
	"tcpsandbox/replay"
)

var _ replay.Instrumented = injected{}

// Each fact that replay knows is netsim's of the same name.
func TestInjectedFacts(t *testing.T) {
	var in netsim.Facts
	from := reflect.ValueOf(&in).Elem()
	for i := range from.NumField() {
		switch f := from.Field(i); {
		case f.CanInt():
			f.SetInt(int64(i) + 2)
		case f.CanUint():
			f.SetUint(uint64(i) + 2)
		default:
			f.SetBool(true)
		}
	}
	out := reflect.ValueOf(linkFacts(in))
	for i := range out.NumField() {
		name := out.Type().Field(i).Name
		if want := from.FieldByName(name); !want.IsValid() || !out.Field(i).Equal(want) {
			t.Errorf("%s is %v, want %v", name, out.Field(i), want)
		}
	}
}
