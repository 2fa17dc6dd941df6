package compare

// madeKey reports whether a key of an object is no name but a value: a number,
// a UUID, or a random token, as in {"sessions": {"9fceb02d0ae598e9": …}}. Places
// have a star for it. Names such as sha256 are none.
func madeKey(name []byte) bool {
	digits, hex, others, changes := 0, 0, 0, 0
	for i, c := range name {
		lower := c | ' '
		switch {
		case '0' <= c && c <= '9':
			digits++
			hex++
		case 'a' <= lower && lower <= 'f':
			hex++
		case 'a' <= lower && lower <= 'z':
		default:
			others++
		}
		if i > 0 && isDigit(c) != isDigit(name[i-1]) {
			changes++
		}
	}
	n := len(name)
	switch {
	case digits == n:
		return n >= 5
	case n == 36 && hex == 32:
		return name[8] == '-' && name[13] == '-' && name[18] == '-' && name[23] == '-'
	case others > 0 || digits == 0:
		return false
	case hex == n:
		return n >= 12
	}
	return n >= 16 && digits >= 3 && changes*4 >= n
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
