package capture

import (
	"reflect"
	"testing"
)

// No count is forgotten, and what is a state is the later one's.
func TestStatsPlus(t *testing.T) {
	var s, sLater Stats
	var a, aLater AssemblerStats
	fill(&s, 1)
	fill(&sLater, 10)
	fill(&a, 1)
	fill(&aLater, 10)
	states := map[string]bool{"Truncated": true, "LastLink": true, "Live": true, "Buffered": true}
	for _, sum := range []any{s.Plus(sLater), a.Plus(aLater)} {
		v := reflect.ValueOf(sum)
		for i := range v.NumField() {
			name, want := v.Type().Field(i).Name, uint64(11)
			if states[name] {
				want = 10
			}
			if got := number(v.Field(i)); got != want {
				t.Errorf("%T.%s: %d, want %d", sum, name, got, want)
			}
		}
	}
}

// fill sets all fields of a struct to a number; of a string, that is its length.
func fill(to any, n int) {
	v := reflect.ValueOf(to).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.CanUint():
			f.SetUint(uint64(n))
		case f.CanInt():
			f.SetInt(int64(n))
		default:
			f.SetString(string(make([]byte, n)))
		}
	}
}

func number(f reflect.Value) uint64 {
	switch {
	case f.CanUint():
		return f.Uint()
	case f.CanInt():
		return uint64(f.Int())
	}
	return uint64(f.Len())
}
