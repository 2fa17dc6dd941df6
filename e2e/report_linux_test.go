package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"tcpsandbox/e2e/apps/connlog"
)

// cmdReport checks conditions on the JSON report of a run, and always that
// each captured client byte has one fate, in the sum and session by session.
func cmdReport(ts *testscript.TestScript, w *world, args []string) error {
	return checkReport(ts.MkAbs(args[0]), args[0], args[1:])
}

func checkReport(path, name string, more []string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	conditions := append([]string{
		"version == 1",
		"sessions.seen >= sessions.complete + sessions.joined",
		fateSum(""),
	}, more...)
	details, _ := lookup(doc, "detail.#")
	for i := range int(details.(float64)) {
		conditions = append(conditions, fateSum(fmt.Sprintf("detail.%d.", i)))
	}
	return checkAll(doc, conditions, name)
}

// fateSum is the condition that the ledger at a place adds up.
func fateSum(at string) string {
	var bins []string
	for _, name := range []string{"delivered", "pending", "gap", "before_join", "filtered", "refused", "closed_early", "shed", "unsupported"} {
		bins = append(bins, at+"client_bytes."+name)
	}
	return at + "client_bytes.captured == " + strings.Join(bins, " + ")
}

func checkAll(doc any, conditions []string, name string) error {
	var wrong []string
	for _, c := range conditions {
		ok, why, err := check(doc, c)
		if err != nil {
			return fmt.Errorf("%s: condition %q: %w", name, c, err)
		}
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s: not so: %s (%s)", name, c, why))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return nil
}

// check evaluates one condition: two sums, and between them ==, !=, <, <=, >,
// >= or ~ (contains, for strings). A term is a number, a word in double quotes,
// or a path such as sessions.seen, detail.0.client or egress.# (its length).
func check(doc any, condition string) (ok bool, why string, err error) {
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">", "~"} {
		left, right, found := strings.Cut(condition, " "+op+" ")
		if !found {
			continue
		}
		a, err := sum(doc, left)
		if err != nil {
			return false, "", err
		}
		b, err := sum(doc, right)
		if err != nil {
			return false, "", err
		}
		why = fmt.Sprintf("%v against %v", a, b)
		if s, isText := a.(string); isText {
			t, same := b.(string)
			if !same {
				return false, "", fmt.Errorf("text against %v", b)
			}
			switch op {
			case "==":
				return s == t, why, nil
			case "!=":
				return s != t, why, nil
			case "~":
				return strings.Contains(s, t), why, nil
			}
			return false, "", fmt.Errorf("no %s between texts", op)
		}
		x, isNumber := a.(float64)
		y, bothNumbers := b.(float64)
		if !isNumber || !bothNumbers {
			return false, "", fmt.Errorf("%v and %v are no numbers", a, b)
		}
		return map[string]bool{"==": x == y, "!=": x != y, "<=": x <= y, ">=": x >= y, "<": x < y, ">": x > y}[op], why, nil
	}
	return false, "", fmt.Errorf("no operator")
}

// sum evaluates terms joined by +; a single one may be text.
func sum(doc any, text string) (any, error) {
	if len(text) > 1 && text[0] == '"' {
		return strconv.Unquote(text)
	}
	var total float64
	terms := strings.Split(text, " + ")
	for _, term := range terms {
		if n, err := strconv.ParseFloat(term, 64); err == nil {
			total += n
			continue
		}
		v, err := lookup(doc, term)
		if err != nil {
			return nil, err
		}
		n, ok := v.(float64)
		if !ok && len(terms) == 1 {
			return v, nil
		}
		if !ok {
			return nil, fmt.Errorf("%s is no number: %v", term, v)
		}
		total += n
	}
	return total, nil
}

// lookup follows a path into decoded JSON.
func lookup(doc any, path string) (any, error) {
	for part := range strings.SplitSeq(path, ".") {
		switch v := doc.(type) {
		case map[string]any:
			var found bool
			if doc, found = v[part]; !found {
				return nil, fmt.Errorf("%s: there is no %q", path, part)
			}
		case []any:
			if part == "#" {
				return float64(len(v)), nil
			}
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil, fmt.Errorf("%s: no element %q among %d", path, part, len(v))
			}
			doc = v[i]
		default:
			return nil, fmt.Errorf("%s: %q of %v", path, part, doc)
		}
	}
	return doc, nil
}

// cmdSameClients compares what the clients sent with what a server received:
// the same connections by the client's address and port, the same server
// address, the same bytes, the same end. Either may be several files, with
// commas between them. A third argument such as 80=8080
// tells where the server listens instead.
func cmdSameClients(ts *testscript.TestScript, w *world, args []string) error {
	from, to := "", ""
	if len(args) > 2 {
		from, to, _ = strings.Cut(args[2], "=")
		args = args[:2]
	}
	var logs [2][]string
	for i, name := range args {
		var entries []connlog.Entry
		for file := range strings.SplitSeq(name, ",") {
			some, err := connlog.Read(ts.MkAbs(file))
			if err != nil {
				return err
			}
			entries = append(entries, some...)
		}
		for _, e := range entries {
			if host, found := strings.CutSuffix(e.Server, ":"+from); found && i == 0 {
				e.Server = host + ":" + to
			}
			logs[i] = append(logs[i], fmt.Sprintf("%s to %s, %d bytes, sha256 %.12s, end %s", e.Client, e.Server, e.Bytes, e.SHA256, e.End))
		}
	}
	if len(logs[0]) == 0 {
		return fmt.Errorf("%s has no connections", args[0])
	}
	return sameSet(args, logs)
}

// cmdBeginnings compares what the clients sent with what a server had received
// when it went away: from each client's address and port, the first bytes of
// what that client sent. How many is up to the moment: net/http, for one, reads
// a single byte ahead while it answers.
func cmdBeginnings(ts *testscript.TestScript, w *world, args []string) error {
	sent, err := connlog.Read(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	received, err := connlog.Read(ts.MkAbs(args[1]))
	if err != nil {
		return err
	}
	byClient := map[string]connlog.Entry{}
	for _, e := range sent {
		byClient[e.Client+" to "+e.Server] = e
	}
	total := int64(0)
	for _, e := range received {
		whole, known := byClient[e.Client+" to "+e.Server]
		if !known {
			return fmt.Errorf("nobody sent anything from %s to %s", e.Client, e.Server)
		}
		n := min(e.Bytes, int64(len(whole.Content)))
		if fmt.Sprintf("%x", sha256.Sum256(whole.Content[:n])) != e.SHA256 || n < e.Bytes {
			return fmt.Errorf("%s: the %d bytes received are not the first of the %d sent", e.Client, e.Bytes, whole.Bytes)
		}
		total += e.Bytes
	}
	if total == 0 {
		return fmt.Errorf("%s: nothing was received", args[1])
	}
	return nil
}

// cmdSameLines compares two files' lines in any order, such as access logs.
func cmdSameLines(ts *testscript.TestScript, w *world, args []string) error {
	var files [2][]string
	for i, name := range args {
		files[i] = strings.Split(strings.TrimSuffix(ts.ReadFile(name), "\n"), "\n")
	}
	return sameSet(args, files)
}

func sameSet(names []string, sets [2][]string) error {
	for i := range sets {
		slices.Sort(sets[i])
	}
	if slices.Equal(sets[0], sets[1]) {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%d) and %s (%d) differ", names[0], len(sets[0]), names[1], len(sets[1]))
	for i := range sets {
		shown := 0
		for _, line := range sets[i] {
			if _, found := slices.BinarySearch(sets[1-i], line); found {
				continue
			}
			if shown++; shown > 10 {
				fmt.Fprintf(&b, "\n\t…")
				break
			}
			fmt.Fprintf(&b, "\n\tonly in %s: %s", names[i], line)
		}
	}
	return fmt.Errorf("%s", b.String())
}

// cmdEntry checks conditions on one line of a connection log, from 1.
func cmdEntry(ts *testscript.TestScript, w *world, args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	lines := strings.Split(ts.ReadFile(args[0]), "\n")
	if n < 1 || n >= len(lines) {
		return fmt.Errorf("%s has %d lines, no line %d", args[0], len(lines)-1, n)
	}
	var doc any
	if err := json.Unmarshal([]byte(lines[n-1]), &doc); err != nil {
		return err
	}
	return checkAll(doc, args[2:], args[0])
}
