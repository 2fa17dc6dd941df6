package compare

import (
	"bytes"
	"fmt"
	"unicode"
)

// String returns the difference in a line, without a full stop: "status: 200 →
// 404", "$.items[3].price: 12 → 12.5", "header etag: production has none,
// application \"x\"", "at byte 8: production \"17\", application \"18\"".
func (d *Difference) String() string {
	end := ""
	if d.Cut {
		end = ", cut short"
	}
	switch d.Place.Kind {
	case InAnswer, InBytes:
		return d.where("") + end
	case InBody:
		return d.where("body ") + end
	case InEnd:
		switch {
		case d.Production != nil, d.Application != nil, d.Beyond:
			return d.where("") + end
		case d.Cut:
			return fmt.Sprintf("end: cut short after %d bytes of the body, production sent %d", d.Offset, d.Until)
		}
		return fmt.Sprintf("end: production's answer is cut short after %d bytes of the body, the application's is not", d.Until)
	}
	return d.label() + ": " + d.values()
}

// where tells a difference of bytes.
func (d *Difference) where(of string) string {
	if !d.Beyond {
		return fmt.Sprintf("%sat byte %d: production %q, application %q", of, d.Offset, d.Production, d.Application)
	}
	before := ""
	if d.Until < min(d.ProductionLen, d.ApplicationLen) {
		before = fmt.Sprintf(" and before %d", d.Until)
	}
	return fmt.Sprintf("%sat or after byte %d%s: production sent %d bytes, the application %d", of, d.Offset, before, d.ProductionLen, d.ApplicationLen)
}

// label names the place.
func (d *Difference) label() string {
	p := d.Place
	if d.Path != "" {
		p.Name = d.Path
	}
	return p.String()
}

// values tells what stands there on both sides. What is a number or a word by
// itself needs no quotes.
func (d *Difference) values() string {
	format := "%q"
	switch d.Place.Kind {
	case InStatus, InJSON, InOrder:
		if !bytes.ContainsFunc(d.Production, unicode.IsControl) && !bytes.ContainsFunc(d.Application, unicode.IsControl) {
			format = "%s"
		}
	}
	switch {
	case d.Production == nil && d.Application == nil:
		return "differs"
	case d.Production == nil:
		return fmt.Sprintf("production has none, application "+format, d.Application)
	case d.Application == nil:
		return fmt.Sprintf("production "+format+", application has none", d.Production)
	}
	return fmt.Sprintf(format+" → "+format, d.Production, d.Application)
}
