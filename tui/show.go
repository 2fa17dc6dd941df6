package tui

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// How often the screen changes by itself, at most. Keys are answered at once.
const (
	framesPerSecond = 30
	pollEvery       = 100 * time.Millisecond
	// bytesPerSecond is what the screen may send in the long run, for those who
	// look at it over a slow line; pollSlowest is how rare it may become for it.
	bytesPerSecond = 16 << 10
	pollSlowest    = time.Second
)

// Show draws opt.Source on the terminal until the user leaves, or ctx ends. The
// terminal is then as it was. It returns an error if there is none that can be
// used.
func Show(ctx context.Context, opt Options) error {
	out := opt.Output
	if out == nil {
		out = os.Stdout
	}
	line := &counted{File: out}
	options := append(manners(), tea.WithOutput(line))
	if opt.Input != nil {
		options = append(options, tea.WithInput(opt.Input))
	}
	model := newModel(opt)
	p := tea.NewProgram(model, options...)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan struct{})
	go func() {
		defer close(over)
		poll(ctx, opt.Source, p.Send, line)
		p.Quit()
	}()
	_, err := p.Run()
	stop()
	<-over
	if model.counts {
		line.WriteString(ansi.SetModeUnicodeCore)
	}
	if errors.Is(err, tea.ErrInterrupted) {
		err = nil
	}
	return err
}

// No more than this of a terminal is drawn on: its size is what the other end
// says, and each cell takes a hundred bytes in the renderer.
const maxWidth, maxHeight = 1000, 500

// manners are how the program behaves on any terminal.
func manners() []tea.ProgramOption {
	return []tea.ProgramOption{
		tea.WithFPS(framesPerSecond), tea.WithoutSignalHandler(),
		tea.WithFilter(func(_ tea.Model, msg tea.Msg) tea.Msg {
			if m, ok := msg.(tea.ModeReportMsg); ok && m.Mode == ansi.ModeUnicodeCore {
				return widthsMsg(m.Value) // the renderer would count letters from now on
			}
			if m, ok := msg.(tea.WindowSizeMsg); ok {
				m.Width, m.Height = min(m.Width, maxWidth), min(m.Height, maxHeight)
				return m
			}
			return msg
		}),
	}
}

// counted is the terminal, with a count of what was sent to it.
type counted struct {
	*os.File
	sent atomic.Int64
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.File.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// WriteString implements io.StringWriter.
func (c *counted) WriteString(s string) (int, error) { return c.Write([]byte(s)) }

var _ io.StringWriter = (*counted)(nil)

// poll takes snapshots until ctx ends. The more a frame costs on the line the
// fewer there are.
func poll(ctx context.Context, src Source, send func(tea.Msg), line *counted) {
	credit, sent, at := float64(bytesPerSecond), int64(0), time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		send(snapshotMsg(src.Poll()))
		now, total := time.Now(), line.sent.Load()
		credit = min(bytesPerSecond, credit+bytesPerSecond*now.Sub(at).Seconds()-float64(total-sent))
		sent, at = total, now
		wait := pollEvery
		if credit < 0 {
			wait = min(pollSlowest, max(wait, time.Duration(-credit/bytesPerSecond*float64(time.Second))))
		}
		timer.Reset(wait)
	}
}
