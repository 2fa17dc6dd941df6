package session

import "testing"

// Whatever bin is off, and in whatever direction, the books do not balance;
// two that cancel each other out do not, either, if one is less than empty.
func TestLedgerCheck(t *testing.T) {
	for _, f := range Fates() {
		var l Ledger
		l[Delivered], l[Pending] = 100, 20
		if err := l.Check(120); err != nil {
			t.Fatal(err)
		}
		for _, off := range []int64{1, -1, 1000, -1000} {
			m := l
			m[f] += off
			if m.Check(120) == nil {
				t.Errorf("%v is off by %d, and nobody notices", f, off)
			}
		}
		m := l
		m[f] -= 200
		m[(f+1)%fates] += 200
		if m.Check(120) == nil {
			t.Errorf("%v holds %d bytes, and nobody notices", f, m[f])
		}
	}
}
