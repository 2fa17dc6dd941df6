package tui

import (
	"charm.land/lipgloss/v2"
)

// styles is how things look. Colours are of a palette that the common kinds of
// colour blindness leave apart (blue, orange, red, and their lightness:
// TestColoursApart), and no colour stands alone: each verdict and state has a
// sign or a word as well, so that without colours (NO_COLOR) nothing is lost. The
// zero value is plain.
type styles struct {
	Title    brush // of the program, of a pane
	Label    brush // what a value is
	Faint    brush // what is of less interest
	Good     brush
	Warn     brush // differs, is held
	Bad      brush // failed, is missing
	Accent   brush // keys, the tab that is open
	Selected brush // the line under the cursor
	Header   brush // of a table's columns
	Added    brush // only the application has it
	Removed  brush // only production has it
	Word     brush // what differs within a line
}

// newStyles returns the colours for a dark background, or a light one. How many
// of them the terminal has is the renderer's business.
func newStyles(dark bool) styles {
	pick := lipgloss.LightDark(dark)
	color := func(onLight, onDark string) lipgloss.Style {
		return lipgloss.NewStyle().Foreground(pick(lipgloss.Color(onLight), lipgloss.Color(onDark)))
	}
	return styles{
		Title:    brushOf(lipgloss.NewStyle().Bold(true)),
		Label:    brushOf(color("#5a5a5a", "#a0a0a0")),
		Faint:    brushOf(color("#6c6c6c", "#8a8a8a")),
		Good:     brushOf(color("#005f9e", "#56b4e9")),
		Warn:     brushOf(color("#a65e00", "#e69f00")),
		Bad:      brushOf(color("#8b0000", "#ff4b4b").Bold(true)),
		Accent:   brushOf(color("#005f9e", "#56b4e9").Bold(true)),
		Selected: brushOf(lipgloss.NewStyle().Reverse(true)),
		Header:   brushOf(lipgloss.NewStyle().Bold(true).Underline(true)),
		Added:    brushOf(color("#005f9e", "#56b4e9")),
		Removed:  brushOf(color("#a65e00", "#e69f00")),
		Word:     brushOf(lipgloss.NewStyle().Reverse(true)),
	}
}
