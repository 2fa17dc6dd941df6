package expr

// Relations and their arithmetic. The precedences are those of libpcap's
// grammar: | below & below shifts below sums below products below the minus
// sign. That grammar gives ^ and % no precedence at all, which means that
// whatever follows them, up to the relation, is their right operand.

var precedence = map[string]int{
	"|": 1, "&": 2, "<<": 3, ">>": 3, "+": 4, "-": 4, "*": 5, "/": 5, "^": greedy, "%": greedy,
}

const (
	weakest  = 1
	negating = 6 // the minus sign's
	greedy   = 7
)

func isRelation(t token) bool {
	if t.kind != kindOperator {
		return false
	}
	switch t.text {
	case ">", ">=", "=", "<", "<=", "!=":
		return true
	}
	return false
}

// isArithmetic reports whether what stands before the token is a number.
func isArithmetic(t token) bool {
	return isRelation(t) || t.kind == kindOperator && precedence[t.text] > 0
}

func (p *parser) relation() (tree, error) {
	at := p.peek().offset
	l, err := p.arith(weakest)
	if err != nil {
		return nil, err
	}
	op := p.next()
	if !isRelation(op) {
		return nil, p.unexpected(op, "a comparison, such as = or >,")
	}
	r, err := p.arith(weakest)
	if err != nil {
		return nil, err
	}
	return placed{relation{op.text, l, r}, at}, nil
}

// arith parses operators of at least the given precedence.
func (p *parser) arith(least int) (*arith, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	l, err := p.operand()
	for err == nil {
		op := p.peek()
		binds := precedence[op.text]
		if op.kind != kindOperator || binds < least {
			return l, nil
		}
		p.next()
		right := binds + 1
		if binds == greedy {
			right = weakest
		}
		var r *arith
		at := p.peek()
		if r, err = p.arith(right); err != nil {
			break
		}
		if k, ok := r.constant(); ok {
			switch {
			case (op.text == "/" || op.text == "%") && k == 0:
				return nil, p.fail(at, "division by zero")
			case (op.text == "<<" || op.text == ">>") && k > 31:
				return nil, p.fail(at, "shift by more than 31 bits")
			}
		}
		l = &arith{op: op.text, l: l, r: r}
	}
	return nil, err
}

func (p *parser) operand() (*arith, error) {
	t := p.next()
	switch {
	case t.kind == kindNumber:
		return &arith{op: "number", value: t.value}, nil
	case t.is("len") || t.is("length"):
		return &arith{op: "len"}, nil
	case t.is("-"):
		of, err := p.arith(negating)
		return &arith{op: "neg", l: of}, err
	case t.is("("):
		inner, err := p.arith(weakest)
		if err != nil {
			return nil, err
		}
		if end := p.next(); !end.is(")") {
			return nil, p.unexpected(end, "an operator or \")\"")
		}
		return inner, nil
	case t.kind == kindKeyword && p.peek().is("["):
		return p.load(t)
	}
	return nil, p.unexpected(t, "a number, len, or a field such as tcp[13]")
}

// load parses the rest of a field: [index] or [index:size].
func (p *parser) load(t token) (*arith, error) {
	header := t.text
	if etherNames[header] {
		header = "ether"
	} else if !protocolNames[header] {
		return nil, p.fail(t, "\""+header+"\" has no fields here")
	} else if header == "ah" || header == "esp" {
		return nil, p.fail(t, "fields of "+header+" are not supported, in tcpdump neither")
	}
	p.next()
	at := p.peek()
	index, err := p.arith(weakest)
	if err != nil {
		return nil, err
	}
	if k, ok := index.constant(); ok && k >= 1<<31 {
		return nil, p.fail(at, "an offset before the header is not supported: tcpdump's answer depends on -O")
	}
	size := uint32(1)
	if p.accept(":") {
		n := p.next()
		if n.kind != kindNumber || n.value != 1 && n.value != 2 && n.value != 4 {
			return nil, p.unexpected(n, "a size of 1, 2 or 4 bytes")
		}
		size = n.value
	}
	if end := p.next(); !end.is("]") {
		return nil, p.unexpected(end, "\"]\"")
	}
	return &arith{op: "load", l: index, header: header, size: size}, nil
}
