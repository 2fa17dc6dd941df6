package main

import (
	"strings"
	"sync"
	"time"

	"tcpsandbox/compare"
	"tcpsandbox/tui"
)

// screenLog holds the lines that were written since the screen last asked for
// them: the application's, and our own. The latest ones are kept. It is safe for
// concurrent use.
type screenLog struct {
	mu      sync.Mutex
	lines   []tui.Line
	bytes   int
	leftOut int64 // lines that there was no room for
}

// Bounds of what the screen gets at a time. To hide secrets takes 2 µs for a
// line of 100 bytes (BenchmarkScreenLog): with ten looks a second that comes to
// 4 % of a core however much an application writes.
const (
	maxLogLines = 2000
	maxLogBytes = 512 << 10
	maxLogLine  = 16 << 10
)

// message takes in what the console was told to print.
func (l *screenLog) message(kind, text string) {
	switch kind {
	case kindSay:
		l.add("tcpsandbox", text)
	case kindWarning, kindError:
		l.add("tcpsandbox", kind+": "+text)
	default: // an application's tag
		l.add(kind, text)
	}
}

// add takes in what somebody wrote, which may be several lines.
func (l *screenLog) add(from, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.Clone(line[:min(len(line), maxLogLine)])
		l.lines = append(l.lines, tui.Line{At: now, From: from, Text: line})
		l.bytes += len(line)
	}
	drop := 0
	for len(l.lines)-drop > maxLogLines || l.bytes > maxLogBytes {
		l.bytes -= len(l.lines[drop].Text)
		l.lines[drop] = tui.Line{}
		drop++
	}
	l.lines = l.lines[drop:]
	l.leftOut += int64(drop)
}

// take returns the lines, secrets hidden, and forgets them.
func (l *screenLog) take(secrets *compare.Secrets) []tui.Line {
	l.mu.Lock()
	lines, leftOut := l.lines, l.leftOut
	l.lines, l.bytes, l.leftOut = nil, 0, 0
	l.mu.Unlock()
	for i := range lines {
		lines[i].Text = secrets.Body("", lines[i].Text)
	}
	if leftOut == 0 {
		return lines
	}
	said := tui.Line{At: time.Now(), From: "tcpsandbox", Text: count(leftOut, "line") + " came too fast to be shown here"}
	if len(lines) > 0 {
		said.At = lines[0].At
	}
	return append([]tui.Line{said}, lines...)
}
