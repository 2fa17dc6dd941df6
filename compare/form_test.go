package compare

import "testing"

func TestForm(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		production, application string
		want                    string
	}{
		{"the same", "a=1&b=2", "a=1&b=2", ""},
		{"another order", "a=1&b=2", "b=2&a=1", "form written otherwise"},
		{"other escapes", "q=a+b&n=%C3%BC", "q=a%20b&n=%c3%bc", "form written otherwise"},
		{"no equals sign, an empty field", "a&b=1", "a=&&b=1", "form written otherwise"},
		{"value", "token=ab&n=1", "token=cd&n=1", "field token: ab → cd"},
		{"value and order", "token=ab&n=1", "n=1&token=cd", "field token: ab → cd\nform written otherwise"},
		{"missing", "a=1&b=", "a=1", "field b:  → none"},
		{"added", "a=1", "z=2&a=1", "field z: none → 2"},
		{"values of a name, in order", "t=1&t=2&x=0", "t=1&x=0&t=3", "field t: 2 → 3\nform written otherwise"},
		{"values of a name, one less", "t=1&t=2", "t=1", "field t: 2 → none"},
		{"nothing", "", "a=1", "field a: none → 1"},
	} {
		f := new(found)
		if !f.form([]byte(tt.production), []byte(tt.application)) {
			t.Errorf("%s: no form", tt.name)
		}
		if got := noted(f); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
	for _, body := range []string{"a=%", "a=%zz", "%4=1", "a b", "line\nline", `{"a": 1}`} {
		f := new(found)
		if f.form([]byte(body), []byte("a=1")) || f.form([]byte("a=1"), []byte(body)) || noted(f) != "" {
			t.Errorf("%q is no form; noted %q", body, noted(f))
		}
	}
}
