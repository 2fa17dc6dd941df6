package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Read reads what WriteJSON wrote. Errors say what is wrong with it.
func Read(from io.Reader) (*Result, error) {
	d := json.NewDecoder(from)
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, notJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read report: something follows the JSON object")
	}
	var head struct {
		Version *int            `json:"version"`
		Started json.RawMessage `json:"started"`
		Answers json.RawMessage `json:"answers"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, notJSON(err)
	}
	switch {
	case head.Version == nil, head.Started == nil, head.Answers == nil: // the second two a listing of show --json has not
		return nil, errors.New("read report: it is JSON, and no report of a run")
	case *head.Version != Version:
		return nil, fmt.Errorf("read report: its version is %d, this tcpsandbox reads version %d", *head.Version, Version)
	}
	r := new(Result)
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, notJSON(err)
	}
	return r, nil
}

// notJSON says where a report is broken.
func notJSON(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("read report: it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("read report: it breaks off: the JSON has no end")
	case errors.As(err, &syntax):
		return fmt.Errorf("read report: it is no JSON at byte %d: %w", syntax.Offset, err)
	}
	return fmt.Errorf("read report: %w", err)
}
