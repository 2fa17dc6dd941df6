package expr

// The parser: and, or, not, parentheses, and the qualifiers that carry over.
//
//	expr    = operand { ("and" | "or") operand }     equal precedence, left first
//	operand = term | value                           a value only after the first
//	term    = "not" term | "(" expr ")" | primitive | relation
//	value   = "not" value | "(" values ")" | address, number or name
//
// A value without qualifiers takes those of the primitive before it: "tcp
// port 80 or 443". libpcap leaves it to an LALR(1) grammar to tell a value
// from the beginning of a term; here one look past the leading "not"s and
// parentheses does, with the same result.

// qualifiers say what a value means: of which protocol, which direction, and
// whether it is a host, a port or a protocol's number.
type qualifiers struct {
	defined bool
	proto   string
	dir     direction
	what    string // "", host, net, port, portrange, proto
}

type parser struct {
	text   string
	tokens []token
	at     int
	depth  int
	closes []int // for each "(" token, its ")"; 0 if there is none
}

// maxDepth bounds how deep parentheses and "not" nest.
const maxDepth = 1000

// parse returns the tree of an expression, nil for an empty one.
func parse(text string) (tree, error) {
	tokens, err := scan(text)
	if err != nil {
		return nil, err
	}
	p := &parser{text: text, tokens: tokens, closes: make([]int, len(tokens))}
	var open []int
	for i, t := range tokens {
		if t.is("(") {
			open = append(open, i)
		} else if t.is(")") && len(open) > 0 {
			p.closes[open[len(open)-1]] = i
			open = open[:len(open)-1]
		}
	}
	if p.peek().kind == kindEnd {
		return nil, nil
	}
	t, _, err := p.expr(qualifiers{})
	if err != nil {
		return nil, err
	}
	if rest := p.peek(); rest.kind != kindEnd {
		return nil, p.unexpected(rest, "and, or, or the end")
	}
	return t, nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

// ahead returns the token n places after the next, or the last one.
func (p *parser) ahead(n int) token {
	return p.tokens[min(p.at+n, len(p.tokens)-1)]
}

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != kindEnd {
		p.at++
	}
	return t
}

// accept takes the next token if it is the keyword or operator text.
func (p *parser) accept(text string) bool {
	if p.peek().is(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) fail(t token, msg string) error {
	return &SyntaxError{Text: p.text, Offset: t.offset, Msg: msg}
}

func (p *parser) unexpected(t token, want string) error {
	if t.kind == kindEnd {
		return p.fail(t, "expected "+want)
	}
	if t.kind == kindKeyword && unsupported[t.text] {
		return p.fail(t, "\""+t.text+"\" is not supported")
	}
	return p.fail(t, "expected "+want+" here")
}

// enter counts one level of nesting; leave ends it.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.fail(p.peek(), "nested too deep")
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// expr parses operands joined by and and or. It returns the qualifiers that a
// value after it takes.
func (p *parser) expr(q qualifiers) (tree, qualifiers, error) {
	left, q, err := p.term(q)
	for err == nil {
		and := p.peek().is("and")
		if !and && !p.peek().is("or") {
			return left, q, nil
		}
		p.next()
		var right tree
		if p.atValue() {
			right, err = p.value(q)
		} else {
			right, q, err = p.term(q)
		}
		left = pair{and: and, l: left, r: right}
	}
	return nil, q, err
}

// atValue reports whether the operand ahead is a value. Only a number leaves
// a doubt: in "len > 5 or 80 = len" it begins a relation.
func (p *parser) atValue() bool {
	i, opened := p.at, 0
	for p.tokens[i].is("not") || p.tokens[i].is("(") {
		if p.tokens[i].is("(") {
			opened++
		}
		i++
	}
	switch p.tokens[i].kind {
	case kindName, kindDotted, kindIPv6, kindMAC:
		return true
	case kindNumber:
		i++
		for ; opened > 0 && p.tokens[i].is(")"); opened-- {
			i++
		}
		return !isArithmetic(p.tokens[i])
	}
	return false
}

// term parses what needs no qualifiers from before it.
func (p *parser) term(q qualifiers) (tree, qualifiers, error) {
	if err := p.enter(); err != nil {
		return nil, q, err
	}
	defer p.leave()
	t := p.peek()
	switch {
	case t.is("not"):
		p.next()
		of, q, err := p.term(q)
		return negation{of}, q, err
	case t.is("(") && !p.groupsNumber():
		p.next()
		inner, _, err := p.expr(q)
		if err != nil {
			return nil, q, err
		}
		if !p.accept(")") {
			return nil, q, p.unexpected(p.peek(), "and, or, or \")\"")
		}
		// What was qualified inside the parentheses ends with them.
		return inner, q, nil
	}
	return p.primitive(q)
}

// groupsNumber reports whether the parenthesis ahead is part of a relation:
// whether an operator of arithmetic follows where it closes.
func (p *parser) groupsNumber() bool {
	end := p.closes[p.at]
	return end > 0 && isArithmetic(p.tokens[end+1])
}

// value parses an address, number or name, or a group of them.
func (p *parser) value(q qualifiers) (tree, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	t := p.peek()
	switch {
	case t.is("not"):
		p.next()
		of, err := p.value(q)
		return negation{of}, err
	case t.is("("):
		if n, ok := p.groupedNumber(); ok {
			return p.qualify(n, q)
		}
		p.next()
		return p.values(q)
	}
	return p.single(q)
}

// groupedNumber takes a number in parentheses of its own.
func (p *parser) groupedNumber() (token, bool) {
	opened := 0
	for p.ahead(opened).is("(") {
		opened++
	}
	n := p.ahead(opened)
	if n.kind != kindNumber {
		return token{}, false
	}
	for i := 1; i <= opened; i++ {
		if !p.ahead(opened + i).is(")") {
			return token{}, false
		}
	}
	p.at += 2*opened + 1
	return n, true
}

// values parses the rest of a group of values, up to and with its ")". As in
// libpcap, the first of them may not be a group itself, except of one number.
func (p *parser) values(q qualifiers) (tree, error) {
	var left tree
	var err error
	if n, ok := p.groupedNumber(); ok {
		left, err = p.qualify(n, q)
	} else if p.peek().is("(") {
		return nil, p.fail(p.peek(), "a group of values may not begin with another one")
	} else {
		left, err = p.value(q)
	}
	for err == nil {
		t := p.next()
		if t.is(")") {
			return left, nil
		}
		if !t.is("and") && !t.is("or") {
			return nil, p.unexpected(t, "and, or, or \")\"")
		}
		var right tree
		right, err = p.value(q)
		left = pair{and: t.is("and"), l: left, r: right}
	}
	return nil, err
}
