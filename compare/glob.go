package compare

import (
	"regexp"
	"strings"
)

// glob is a pattern for names: * stands for anything, \ takes the meaning of
// the byte behind it away. The zero value matches everything.
type glob struct {
	text  string         // as written
	exact string         // what it matches, where expr is nil
	expr  *regexp.Regexp // nil: no star
}

// newGlob reads a pattern. Within a path * stops at a slash, and ** does not.
func newGlob(text string, path bool) glob {
	var exact, expr strings.Builder
	star := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '*' && path && !strings.HasPrefix(text[i:], "**"):
			expr.WriteString("[^/]*")
			star = true
		case text[i] == '*':
			for i+1 < len(text) && text[i+1] == '*' {
				i++
			}
			expr.WriteString(".*")
			star = true
		default:
			if text[i] == '\\' && i+1 < len(text) {
				i++
			}
			n := i
			for i+1 < len(text) && text[i+1] != '*' && text[i+1] != '\\' {
				i++
			}
			exact.WriteString(text[n : i+1])
			expr.WriteString(regexp.QuoteMeta(text[n : i+1]))
		}
	}
	if !star {
		return glob{text: text, exact: exact.String()}
	}
	return glob{text: text, expr: regexp.MustCompile("^(?s:" + expr.String() + ")$")}
}

// globFor returns the pattern that matches name only.
func globFor(name string, path bool) glob {
	return newGlob(strings.NewReplacer(`\`, `\\`, `*`, `\*`).Replace(name), path)
}

// all reports that the pattern matches everything.
func (g *glob) all() bool { return g.text == "" }

// fixed returns the one name that the pattern matches, if it is but one.
func (g *glob) fixed() (name string, ok bool) { return g.exact, g.text != "" && g.expr == nil }

func (g *glob) match(name string) bool {
	switch {
	case g.all():
		return true
	case g.expr == nil:
		return g.exact == name
	}
	return g.expr.MatchString(name)
}
