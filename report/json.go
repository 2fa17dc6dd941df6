package report

import (
	"encoding/json"
	"io"
)

// WriteJSON writes the result as one indented JSON object and a line end. The
// error is w's.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // it is read by people too
	e.SetIndent("", "  ")
	return e.Encode(r.written())
}
