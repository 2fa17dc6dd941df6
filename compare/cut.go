package compare

// Cut takes the last n bytes off the answer again and returns them, valid until
// the answer is used next. It fails, and changes nothing, where the answer is
// shorter than that or has bytes beyond Head.
func (a *Answer) Cut(n int64) (tail []byte, ok bool) {
	if n < 0 || n > a.Len || a.Len > HeadLimit {
		return nil, false
	}
	at := int(a.Len - n)
	tail = a.Head[at:]
	a.Head, a.Len = a.Head[:at], int64(at)
	return tail, true
}
