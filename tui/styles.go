package tui

import (
	"charm.land/lipgloss/v2"
)

// styles is how things look. Colours are of a palette that the common kinds of
// colour blindness leave apart (blue, orange, and their lightness), and no
// colour stands alone: each verdict and state has a sign or a word as well, so
// that without colours (NO_COLOR) nothing is lost. The zero value is plain.
type styles struct {
	Title    lipgloss.Style // of the program, of a pane
	Label    lipgloss.Style // what a value is
	Faint    lipgloss.Style // what is of less interest
	Good     lipgloss.Style
	Warn     lipgloss.Style // differs, is held
	Bad      lipgloss.Style // failed, is missing
	Accent   lipgloss.Style // keys, the tab that is open
	Selected lipgloss.Style // the line under the cursor
	Header   lipgloss.Style // of a table's columns
	Added    lipgloss.Style // only the application has it
	Removed  lipgloss.Style // only production has it
	Word     lipgloss.Style // what differs within a line
}

// newStyles returns the colours for a dark background, or a light one. How many
// of them the terminal has is the renderer's business.
func newStyles(dark bool) styles {
	pick := lipgloss.LightDark(dark)
	color := func(onLight, onDark string) lipgloss.Style {
		return lipgloss.NewStyle().Foreground(pick(lipgloss.Color(onLight), lipgloss.Color(onDark)))
	}
	return styles{
		Title:    lipgloss.NewStyle().Bold(true),
		Label:    color("#5a5a5a", "#a0a0a0"),
		Faint:    color("#6c6c6c", "#8a8a8a"),
		Good:     color("#005f9e", "#56b4e9"),
		Warn:     color("#a35200", "#e69f00"),
		Bad:      color("#b3261e", "#ff8a70").Bold(true),
		Accent:   color("#005f9e", "#56b4e9").Bold(true),
		Selected: lipgloss.NewStyle().Reverse(true),
		Header:   lipgloss.NewStyle().Bold(true).Underline(true),
		Added:    color("#005f9e", "#56b4e9"),
		Removed:  color("#a35200", "#e69f00"),
		Word:     lipgloss.NewStyle().Reverse(true),
	}
}
