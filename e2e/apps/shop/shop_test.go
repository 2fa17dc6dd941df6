package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"testing"

	"tcpsandbox/e2e/apps/catalog"
)

// ask returns an answer as it is on the wire, and decoded.
func ask(t *testing.T, s *shop, target string) (wire []byte, r *http.Response, body []byte) {
	t.Helper()
	req, err := http.NewRequest("GET", "http://shop.test"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	var b bytes.Buffer
	if err := s.answer(req, nil).write(&b, s.chance()); err != nil {
		t.Fatal(err)
	}
	wire = bytes.Clone(b.Bytes())
	r, err = http.ReadResponse(bufio.NewReader(&b), req)
	if err != nil {
		t.Fatal(err)
	}
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		if in, err = gzip.NewReader(r.Body); err != nil {
			t.Fatal(err)
		}
	}
	if body, err = io.ReadAll(in); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 0 {
		t.Errorf("%s: %d bytes behind the answer", target, b.Len())
	}
	return wire, r, body
}

// Noise changes every answer's bytes and nothing that counts; a bug changes
// one price.
func TestNoiseMeansTheSame(t *testing.T) {
	plain, noisy := &shop{}, &shop{noise: true}
	const wrong = "/shop/books/offers"
	buggy := &shop{noise: true, bug: wrong}
	for _, path := range catalog.Paths() {
		first, _, want := ask(t, plain, path)
		if again, _, _ := ask(t, plain, path); !bytes.Equal(first, again) {
			t.Errorf("%s: two answers without noise differ", path)
		}
		one, r, body := ask(t, noisy, path)
		if two, _, _ := ask(t, noisy, path); bytes.Equal(one, two) {
			t.Errorf("%s: two answers with noise are the same", path)
		}
		if r.StatusCode != 200 || !reflect.DeepEqual(meaning(t, body), meaning(t, want)) {
			t.Errorf("%s: %s\nnoise changed more than it should: %s\nwithout: %s", path, r.Status, body, want)
		}
		_, _, body = ask(t, buggy, path)
		if same := reflect.DeepEqual(meaning(t, body), meaning(t, want)); same != (path != wrong) {
			t.Errorf("%s: right: %v", path, same)
		}
	}
}

// meaning is the document without what is chance in it, its list by id.
func meaning(t *testing.T, body []byte) any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	delete(doc, "meta")
	byID := map[any]any{}
	for _, item := range doc["items"].([]any) {
		byID[item.(map[string]any)["id"]] = item
	}
	doc["items"] = byID
	return doc
}
