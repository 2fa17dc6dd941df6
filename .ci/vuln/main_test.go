package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	db := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/index/db.json" {
			http.NotFound(w, r)
		}
	}))
	defer db.Close()
	portal := httptest.NewServer(http.NotFoundHandler()) // answers, and is no database
	defer portal.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()

	vulnerable := exec.Command("sh", "-c", "exit 3").Run()
	for _, test := range []struct {
		name, db string
		found    error
		ran      bool
		code     int
		says     string
	}{
		{"clean", db.URL, nil, true, 0, ""},
		{"clean, by a path with a slash", db.URL + "/", nil, true, 0, ""},
		{"vulnerable", db.URL, vulnerable, true, 3, ""},
		{"the tool cannot be had", db.URL, errors.New("no go"), true, 1, "no go"},
		{"a file", "file:///srv/vulndb", nil, true, 0, ""},
		{"nobody answers", gone.URL, vulnerable, false, 0, "was not run: " + gone.URL + " cannot be reached"},
		{"somebody else answers", portal.URL, vulnerable, false, 0, "404"},
	} {
		var said strings.Builder
		ran := false
		code := check(test.db, &said, func() error { ran = true; return test.found })
		if ran != test.ran || code != test.code || !strings.Contains(said.String(), test.says) || test.says == "" && said.Len() > 0 {
			t.Errorf("%s: ran %v, code %d, said %q", test.name, ran, code, said.String())
		}
	}
}
