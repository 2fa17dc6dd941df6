package compare

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// RulesError is why a rules file cannot be used.
type RulesError struct {
	File         string
	Line, Column int // from 1; 0: the file as a whole
	Problem      string
	Fix          string // what to write instead, or ""
}

func (e *RulesError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("read rules %s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("read rules %s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}

// Hint tells what to write instead, or nothing.
func (e *RulesError) Hint() string { return e.Fix }

// The keys of a rules file, and of a rule in it, in the order in which Marshal
// writes them.
var (
	fileKeys  = []string{"version", "default", "rules"}
	routeKeys = []string{"route", "why"}
	allowKeys = []string{
		"status", "interim", "headers", "cookies", "body", "json", "unordered", "tolerance",
		"fields", "lines", "bytes", "mask", "end", "close",
	}
)

// ParseRules reads the YAML text of a rules file, which docs/verdict.md
// describes. The name is for messages and for reports, which name a rule
// without a why of its own by file and line. It is strict: what it does not know
// is a *RulesError that says where.
func ParseRules(name string, text []byte) (*Rules, error) {
	p := rulesParser{name: name}
	r, err := p.file(text)
	if err != nil {
		return nil, err
	}
	return r.compiled(), nil
}

// rulesParser goes through the syntax tree of a rules file. It does that itself
// because a decoder into structs knows neither the line that a rule stands in
// nor what would have been allowed there.
type rulesParser struct{ name string }

func (p *rulesParser) file(text []byte) (*Rules, error) {
	if !utf8.Valid(text) {
		return nil, &RulesError{File: p.name, Problem: "it is not UTF-8 text"}
	}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, p.syntax(err)
	}
	if len(tree.Docs) > 1 {
		return nil, p.wrong(tree.Docs[1].Body, "", "a rules file is one document, without --- and directives")
	}
	if len(tree.Docs) == 0 || tree.Docs[0].Body == nil {
		return nil, &RulesError{File: p.name, Problem: "it is empty", Fix: "begin it with version: 1"}
	}
	r := &Rules{}
	version := false
	err = p.mapping(tree.Docs[0].Body, "a rules file", fileKeys, func(key string, value ast.Node) error {
		switch key {
		case "version":
			version = true
			if n, ok := value.(*ast.IntegerNode); !ok || n.Token.Value != "1" {
				return p.wrong(value, "version: 1", "the version must be 1")
			}
		case "default":
			on, err := p.boolean(value, key)
			r.noDefault = !on
			return err
		case "rules":
			return p.list(value, key, func(n ast.Node) error {
				one, err := p.rule(n)
				r.rules = append(r.rules, one)
				return err
			})
		}
		return nil
	})
	if err == nil && !version {
		err = &RulesError{File: p.name, Problem: "the version is missing", Fix: "begin it with version: 1"}
	}
	return r, err
}

func (p *rulesParser) rule(n ast.Node) (one rule, err error) {
	err = p.mapping(n, "a rule", slices.Concat(routeKeys, allowKeys), func(key string, value ast.Node) error {
		switch key {
		case "route":
			text, err := p.text(value, key)
			one.route = newGlob(text, true)
			return err
		case "why":
			one.why, err = p.text(value, key)
			return err
		}
		return p.allow(&one, key, value)
	})
	if err == nil && len(one.allows) == 0 {
		err = p.wrong(n, "add what may differ, such as headers: [etag]", "the rule allows nothing")
	}
	order := func(a allowance) int { return slices.Index(allowKeys, a.key) }
	slices.SortStableFunc(one.allows, func(a, b allowance) int { return order(a) - order(b) })
	return one, err
}

// allow adds what one key of a rule allows.
func (p *rulesParser) allow(one *rule, key string, value ast.Node) error {
	switch key {
	case "body":
		if n, ok := value.(*ast.StringNode); ok && n.Value == wholeBody {
			one.allows = append(one.allows, allowance{key: key, text: wholeBody, at: p.at(value)})
			return nil
		}
		fallthrough
	case "close":
		if _, ok := value.(*ast.SequenceNode); ok {
			break
		}
		fallthrough
	case "status", "interim", "end":
		on, err := p.boolean(value, key)
		if on {
			one.allows = append(one.allows, allowance{key: key, at: p.at(value)})
		}
		return err
	case "tolerance":
		return p.mapping(value, "tolerance", nil, func(path string, limit ast.Node) error {
			text, ok := number(limit)
			if !ok {
				return p.wrong(limit, `tolerance: {"$.price": 0.01}`, "how far a number may be off must be a number or a percentage")
			}
			return p.entry(one, limit, allowance{key: key, text: path, value: text})
		})
	}
	return p.list(value, key, func(n ast.Node) error {
		text, ok := number(n)
		if key != "lines" && key != "bytes" || !ok {
			var err error
			if text, err = p.text(n, key); err != nil {
				return err
			}
		}
		return p.entry(one, n, allowance{key: key, text: text})
	})
}

// entry reads the text of an allowance and adds it.
func (p *rulesParser) entry(one *rule, n ast.Node, a allowance) error {
	a.at = p.at(n)
	if err := a.read(); err != nil {
		return p.wrong(n, "", "%s: %v", a.key, err)
	}
	one.allows = append(one.allows, a)
	return nil
}

// read makes of the texts what matches.
func (a *allowance) read() (err error) {
	switch a.key {
	case "headers":
		a.text = strings.ToLower(a.text)
		a.name = newGlob(a.text, false)
	case "cookies", "fields":
		a.name = newGlob(a.text, false)
	case "json", "unordered":
		a.path, err = readPath(a.text)
	case "tolerance":
		if a.path, err = readPath(a.text); err == nil {
			a.limit, err = readTolerance(a.value)
		}
	case "lines":
		a.lines, err = readLines(a.text)
	case "bytes":
		a.bytes, err = readBytes(a.text)
	case "close":
		if !slices.Contains(closes, a.text) {
			err = fmt.Errorf("%q is none of %s", a.text, strings.Join(closes, ", "))
		}
	case "mask":
		if a.mask, err = regexp.Compile(a.text); err == nil && a.mask.MatchString("") {
			err = fmt.Errorf("the expression matches nothing at all, and so everywhere")
		}
	}
	return err
}

// mapping calls f for each key of a mapping: those of keys, or any if that is
// nil. Each may come once.
func (p *rulesParser) mapping(n ast.Node, what string, keys []string, f func(key string, value ast.Node) error) error {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return p.wrong(n, "", "%s must be a mapping of keys to values%s, not %s", what, choice(keys), nodeName(n))
	}
	seen := make(map[string]bool)
	for _, v := range m.Values {
		k, ok := v.Key.(*ast.StringNode)
		if !ok {
			return p.wrong(v.Key, "", "the key must be text%s, not %s", choice(keys), nodeName(v.Key))
		}
		if keys != nil && !slices.Contains(keys, k.Value) {
			return p.wrong(k, nearest(k.Value, keys), "unknown key %q: %s has %s", k.Value, what, strings.Join(keys, ", "))
		}
		if seen[k.Value] {
			return p.wrong(k, "", "%q is there twice", k.Value)
		}
		seen[k.Value] = true
		if err := f(k.Value, v.Value); err != nil {
			return err
		}
	}
	return nil
}

func (p *rulesParser) list(n ast.Node, key string, f func(ast.Node) error) error {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		fix := ""
		if text, scalar := n.(*ast.StringNode); scalar {
			fix = fmt.Sprintf("%s: [%s]", key, quoted(text.Value))
		}
		return p.wrong(n, fix, "%s must be a list, not %s", key, nodeName(n))
	}
	for _, v := range s.Values {
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

func (p *rulesParser) boolean(n ast.Node, key string) (bool, error) {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		or := ""
		if key == "body" {
			or = " or " + wholeBody
		}
		if key == "close" {
			or = " or a list of " + strings.Join(closes, ", ")
		}
		return false, p.wrong(n, "", "%s must be true or false%s, not %s", key, or, nodeName(n))
	}
	return b.Value, nil
}

func (p *rulesParser) text(n ast.Node, key string) (string, error) {
	text := ""
	switch n := n.(type) {
	case *ast.StringNode:
		text = n.Value
	case *ast.LiteralNode:
		text = n.Value.Value
	default:
		fix := ""
		switch n.(type) {
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.AliasNode, *ast.TagNode:
			fix = "write it in quotes"
		}
		return "", p.wrong(n, fix, "%s must be text, not %s", key, nodeName(n))
	}
	if text == "" {
		return "", p.wrong(n, "", "%s is empty", key)
	}
	return text, nil
}

// number returns a scalar as it is written.
func number(n ast.Node) (text string, ok bool) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		return n.Token.Value, true
	case *ast.FloatNode:
		return n.Token.Value, true
	case *ast.StringNode:
		return n.Value, true
	}
	return "", false
}

func (p *rulesParser) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", p.name, n.GetToken().Position.Line)
}

func (p *rulesParser) wrong(n ast.Node, fix, format string, args ...any) error {
	e := &RulesError{File: p.name, Problem: fmt.Sprintf(format, args...), Fix: fix}
	if t := start(n); t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	return e
}

// start is where a node begins: the token of a mapping is its first colon.
func start(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return start(m.Values[0].Key)
	}
	if n == nil {
		return nil
	}
	return n.GetToken()
}

// syntax turns an error of the YAML parser into one of ours.
func (p *rulesParser) syntax(err error) error {
	e := &RulesError{File: p.name, Problem: err.Error()}
	if placed, ok := err.(interface {
		GetMessage() string
		GetToken() *token.Token
	}); ok {
		e.Problem = placed.GetMessage()
		if t := placed.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Column = t.Position.Line, t.Position.Column
		}
	}
	e.Problem = "this is not YAML: " + e.Problem
	e.Fix = "write paths, patterns and expressions in quotes, and indent with spaces"
	return e
}

// nodeName names a node for people.
func nodeName(n ast.Node) string {
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return "nothing"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return n.Token.Value
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode:
		return "a mapping"
	case *ast.AliasNode:
		return "a YAML alias"
	case *ast.AnchorNode:
		return "a YAML anchor"
	case *ast.TagNode:
		return "a YAML tag"
	}
	return "this"
}

func choice(keys []string) string {
	if keys == nil {
		return ""
	}
	return " (" + strings.Join(keys, ", ") + ")"
}

// nearest proposes the key that was meant: one that begins alike.
func nearest(key string, keys []string) string {
	key = strings.ToLower(key)
	for _, k := range keys {
		if n := min(len(k), len(key), 4); n >= 3 && k[:n] == key[:n] {
			return "did you mean " + k + "?"
		}
	}
	return ""
}
