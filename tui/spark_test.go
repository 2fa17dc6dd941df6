package tui

import (
	"math"
	"testing"
	"time"
)

func TestSpark(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, tt := range []struct {
		name   string
		values []float64
		cells  int
		want   string
	}{
		{"none", nil, 3, "   "},
		{"no room", []float64{1}, 0, ""},
		{"less than no room", []float64{1}, -1, ""},
		{"each height", []float64{0, 1, 2, 3, 4, 5, 6, 7, 8}, 9, " ▂▃▄▅▆▇██"},
		{"the latest", []float64{9, 1, 2}, 2, "▅█"},
		{"few", []float64{1, 2}, 4, "  ▅█"},
		{"all zero", []float64{0, 0}, 2, "  "},
		{"all the same", []float64{5, 5}, 2, "██"},
		{"hardly any", []float64{1e-300, 1e300}, 2, "▁█"},
		{"no numbers", []float64{nan, -1, 4, math.Inf(-1), 8}, 5, "  ▅ █"},
		{"no bounds", []float64{inf, 1, 2}, 3, "█▅█"},
		{"only no bounds", []float64{inf, nan}, 2, "█ "},
		{"the smallest there is", []float64{5e-324, 1e-323}, 2, "▅█"},
		{"almost the highest", []float64{math.Nextafter(1, 0), 1}, 2, "██"},
	} {
		if got := spark(tt.values, tt.cells); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestShortNumbers(t *testing.T) {
	for n, want := range map[int64]string{-1: "–", 0: "0", 7: "7", 999: "999", 1000: "1.00k", 9994: "9.99k", 9995: "10.0k", 12_345: "12.3k", 99_949: "99.9k", 99_950: "100k",
		999_499: "999k", 999_500: "1.00M", 1_234_567: "1.23M", math.MaxInt64: "9.22E", math.MinInt64: "–"} {
		if got := shortCount(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{-1: "–", 0: "0 B", 999: "999 B", 1000: "1.00 kB", 1_234_567: "1.23 MB", 999_499_999: "999 MB", math.MaxInt64: "9.22 EB"} {
		if got := shortBytes(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
	for v, want := range map[float64]string{-1: "–", 0: "0", 0.04: "0.0", 0.25: "0.2", 3: "3.0", 9.94: "9.9", 9.96: "10", 52_345.6: "52.3k", 1e30: "4.61E", math.Inf(1): "–"} {
		if got := shortRate(v); got != want {
			t.Errorf("%v a second are %q, want %q", v, got, want)
		}
	}
	if got := shortRate(math.NaN()); got != none {
		t.Errorf("NaN a second is %q", got)
	}
}

func TestShortTime(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		-1: "–", 0: "0 s", 1: "1 ns", 999: "999 ns", time.Microsecond: "1.00 µs", 999_499: "999 µs", 999_500: "1.00 ms", 1_234_567: "1.23 ms", 25 * time.Millisecond: "25.0 ms",
		999_499_999: "999 ms", time.Second: "1.00 s", 59_949 * time.Millisecond: "59.9 s", 59_950 * time.Millisecond: "1m00s", 187 * time.Second: "3m07s",
		time.Hour - 501*time.Millisecond: "59m59s", time.Hour - 500*time.Millisecond: "1h00m", 23*time.Hour + 59*time.Minute: "23h59m", day - time.Second: "1d00h", 5*day + 23*time.Hour: "5d23h",
		1000*day - time.Hour: "999d23h", 1000*day - time.Minute: "999d", 1000 * day: "1000d", math.MaxInt64: "106751d", math.MinInt64: "–",
	} {
		if got := shortTime(d); got != want {
			t.Errorf("%d ns are %q, want %q", d, got, want)
		}
	}
}

// No number takes more than a column of seven cells.
func FuzzShort(f *testing.F) {
	f.Add(int64(999_500), 9.95)
	f.Add(int64(math.MaxInt64), math.MaxFloat64)
	f.Fuzz(func(t *testing.T, n int64, v float64) {
		for _, s := range []string{shortCount(n), shortBytes(n), shortRate(v), shortTime(time.Duration(n))} {
			if w := method.StringWidth(s); w < 1 || w > 7 {
				t.Errorf("%q takes %d cells", s, w)
			}
		}
		if s := spark([]float64{v, float64(n), -v, 1}, 6); method.StringWidth(s) != 6 {
			t.Errorf("%q is not six cells", s)
		}
	})
}
