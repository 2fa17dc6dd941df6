package compare

import (
	"bytes"
	"net/url"
)

// maxFormFields is more than any form has. What has more is left to text.
const maxFormFields = 10_000

// formField is a field of a form.
type formField struct {
	name, value string
	raw         []byte // both as they are written
}

// form compares two bodies of the type application/x-www-form-urlencoded by
// name, the values of one name in their order. Another order of names and
// other escapes are the Spelling "form". It notes nothing and returns false
// where one of them is not such a form.
func (f *found) form(production, application []byte) bool {
	ps, ok := formFields(production)
	as, also := formFields(application)
	if !ok || !also {
		return false
	}
	left := make(map[string][]int, len(as)) // the application's, by name
	for i, field := range as {
		left[field.name] = append(left[field.name], i)
	}
	differs, respelt, last := false, false, -1
	note := func(name string, production, application []byte) {
		differs = true
		f.add(Difference{Place: Place{InForm, name}, Production: production, Application: application})
	}
	for _, p := range ps {
		mates := left[p.name]
		if len(mates) == 0 {
			note(p.name, shown([]byte(p.value)), nil)
			continue
		}
		a := as[mates[0]]
		if a.value != p.value {
			note(p.name, shown([]byte(p.value)), shown([]byte(a.value)))
		} else if !bytes.Equal(a.raw, p.raw) {
			respelt = true
		}
		respelt = respelt || mates[0] < last
		last = mates[0]
		left[p.name] = mates[1:]
	}
	for i, a := range as {
		if mates := left[a.name]; len(mates) > 0 && mates[0] == i {
			note(a.name, nil, shown([]byte(a.value)))
			left[a.name] = mates[1:]
		}
	}
	if respelt || !differs && !bytes.Equal(production, application) {
		f.spelled("form")
	}
	return true
}

// formFields takes a form apart. Nearly every text could be a form of one
// field; white space, which forms escape, and bad escapes say that it is not.
func formFields(body []byte) (fields []formField, ok bool) {
	for raw := range bytes.SplitSeq(body, []byte{'&'}) {
		if len(raw) == 0 {
			continue
		}
		for _, c := range raw {
			if c <= ' ' || c == 0x7f {
				return nil, false
			}
		}
		rawName, rawValue, _ := bytes.Cut(raw, []byte{'='})
		name, err := url.QueryUnescape(string(rawName))
		if err != nil {
			return nil, false
		}
		value, err := url.QueryUnescape(string(rawValue))
		if err != nil || len(fields) == maxFormFields {
			return nil, false
		}
		fields = append(fields, formField{name, value, raw})
	}
	return fields, true
}
