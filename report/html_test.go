package report

import (
	"bytes"
	"os"
	"testing"
)

func TestX(t *testing.T) {
	for name, r := range map[string]*Result{"shop": shop(), "hostile": hostile(), "quiet": quiet(), "empty": {}, "eventful": eventful()} {
		var b bytes.Buffer
		if err := r.WriteHTML(&b); err != nil {
			t.Fatal(err)
		}
		os.WriteFile("/tmp/h6/"+name+".html", b.Bytes(), 0o644)
		b.Reset()
		if err := r.WriteJUnit(&b); err != nil {
			t.Fatal(err)
		}
		os.WriteFile("/tmp/h6/"+name+".xml", b.Bytes(), 0o644)
		b.Reset()
		r.Text(&b)
		os.WriteFile("/tmp/h6/"+name+".txt", b.Bytes(), 0o644)
	}
}
