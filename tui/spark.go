package tui

// Numbers in little room: the last minute as a line of bars, and counts, sizes
// and times in at most seven cells.

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// none stands for a number that there is not.
const none = "–"

// spark draws values as bars, the latest on the right, in exactly that many
// cells. The highest value shown is as high as the line, anything above zero at
// least the lowest bar. Zeros, and what is no number, are blank; a value without
// bounds is as high as the line.
func spark(values []float64, cells int) string {
	if cells <= 0 {
		return ""
	}
	values = values[max(0, len(values)-cells):]
	highest := 0.0
	for _, v := range values {
		if v > highest && !math.IsInf(v, 0) {
			highest = v
		}
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", cells-len(values)))
	bars := [...]rune{'▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'}
	for _, v := range values {
		switch {
		case !(v > 0): // NaN, too
			b.WriteByte(' ')
		case v >= highest:
			b.WriteRune(bars[len(bars)-1])
		default:
			b.WriteRune(bars[min(int(v/highest*float64(len(bars))), len(bars)-1)])
		}
	}
	return b.String()
}

// units are what a number is multiplied by to get into few digits.
var (
	countUnits = []string{"", "k", "M", "G", "T", "P", "E"}
	byteUnits  = []string{" B", " kB", " MB", " GB", " TB", " PB", " EB"}
)

// shortCount writes a count, such as 1234567 as 1.23M. Less than zero is none.
func shortCount(n int64) string { return scaled(n, countUnits) }

// shortBytes writes a size, such as 1234567 as 1.23 MB; 1 kB is 1,000 bytes. Less
// than zero is none.
func shortBytes(n int64) string { return scaled(n, byteUnits) }

// scaled writes a number below 1,000 as it is, others in three digits.
func scaled(n int64, units []string) string {
	if n < 0 {
		return none
	}
	if n < 1000 {
		return strconv.FormatInt(n, 10) + units[0]
	}
	v, unit := float64(n), 0
	for v >= 999.5 && unit < len(units)-1 { // 999.5 would be written as 1000
		v, unit = v/1000, unit+1
	}
	return threeDigits(v) + units[unit]
}

// threeDigits writes a number from 1 to below 999.5.
func threeDigits(v float64) string {
	digits := 0
	switch {
	case v < 9.995:
		digits = 2
	case v < 99.95:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// shortRate writes how many there are in a second, with a digit behind the point
// below ten. What is no number, or less than zero, is none.
func shortRate(perSecond float64) string {
	switch {
	case !(perSecond >= 0) || math.IsInf(perSecond, 0):
		return none
	case perSecond > 0 && perSecond < 9.95:
		return strconv.FormatFloat(perSecond, 'f', 1, 64)
	}
	return shortCount(int64(min(math.Round(perSecond), 1<<62)))
}

// shortTime writes how long something took, such as 1.23 ms, 59.9 s, 3m07s or
// 5d23h. Less than zero is none; zero is 0 s.
func shortTime(d time.Duration) string {
	two := func(n time.Duration, unit string, rest time.Duration, of string) string {
		s := strconv.Itoa(int(rest))
		return strconv.Itoa(int(n)) + unit + strings.Repeat("0", 2-len(s)) + s + of
	}
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return none
	case d == 0:
		return "0 s"
	case d < time.Microsecond:
		return strconv.Itoa(int(d)) + " ns"
	case d < 999500*time.Nanosecond:
		return threeDigits(float64(d)/1e3) + " µs"
	case d < 999500*time.Microsecond:
		return threeDigits(float64(d)/1e6) + " ms"
	case d < 59950*time.Millisecond:
		return threeDigits(float64(d)/1e9) + " s"
	case d < time.Hour-time.Second/2:
		d = d.Round(time.Second)
		return two(d/time.Minute, "m", d%time.Minute/time.Second, "s")
	case d < day-time.Minute/2:
		d = d.Round(time.Minute)
		return two(d/time.Hour, "h", d%time.Hour/time.Minute, "m")
	case d < 1000*day-time.Hour/2:
		d = d.Round(time.Hour)
		return two(d/day, "d", d%day/time.Hour, "h")
	}
	return strconv.Itoa(int(d/day)) + "d"
}
