package report

import (
	"bufio"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// forms are the parts of the JSON form that docs/report.md describes in a table
// of their own, by its title.
var forms = map[reflect.Type]string{
	reflect.TypeFor[Result]():      "JSON",
	reflect.TypeFor[ClientBytes](): "Client bytes",
	reflect.TypeFor[Answers]():     "Answers",
	reflect.TypeFor[Latency]():     "Latency",
	reflect.TypeFor[Percentiles](): "Percentiles",
	reflect.TypeFor[Difference]():  "Difference",
	reflect.TypeFor[Body]():        "Body",
}

// Every field of the JSON form is in docs/report.md with its type, and nothing
// else is.
func TestFieldsAreDocumented(t *testing.T) {
	f, err := os.Open("../docs/report.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	written := map[string]map[string]string{} // by title and path, the type
	title := ""
	row := regexp.MustCompile("^\\| `([^`]*)` \\| ([^|]*) \\|")
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			title = strings.TrimLeft(line, "# ")
			written[title] = map[string]string{}
		}
		if m := row.FindStringSubmatch(line); m != nil && slices.Contains(slices.Collect(maps.Values(forms)), title) {
			if _, twice := written[title][m[1]]; twice {
				t.Errorf("%s: %s is there twice", title, m[1])
			}
			written[title][m[1]] = m[2]
		}
	}
	for form, title := range forms {
		have := map[string]string{}
		describe(have, "", form)
		for path, kind := range have {
			if got, ok := written[title][path]; !ok || got != kind {
				t.Errorf("%s: | `%s` | %s | is missing, or said to be %q", title, path, kind, got)
			}
		}
		for path := range written[title] {
			if _, ok := have[path]; !ok {
				t.Errorf("%s: there is no %s", title, path)
			}
		}
	}
}

// describe lists the fields of a struct, and of those in it that have no table
// of their own.
func describe(have map[string]string, at string, typ reflect.Type) {
	for i := range typ.NumField() {
		field := typ.Field(i)
		if field.Anonymous {
			describe(have, at, field.Type)
			continue
		}
		if !field.IsExported() {
			continue
		}
		name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		more := ""
		kind := field.Type
		if kind.Kind() == reflect.Pointer {
			more, kind = ", null", kind.Elem()
		}
		if option == "omitempty" {
			more += ", optional"
		}
		describeValue(have, at+name, more, kind)
	}
}

func describeValue(have map[string]string, at, more string, typ reflect.Type) {
	if title, ok := forms[typ]; ok {
		have[at] = "[" + strings.ToLower(title) + "](#" + strings.ReplaceAll(strings.ToLower(title), " ", "-") + ")" + more
		return
	}
	switch {
	case typ == reflect.TypeFor[time.Time]():
		have[at] = "string" + more
	case typ == reflect.TypeFor[Seconds](), typ == reflect.TypeFor[Milliseconds]():
		have[at] = "number" + more
	case typ.Kind() == reflect.String:
		have[at] = "string" + more
	case typ.Kind() == reflect.Bool:
		have[at] = "boolean" + more
	case typ.Kind() == reflect.Map:
		have[at] = "object" + more
	case typ.Kind() == reflect.Slice:
		have[at] = "list" + more
		if _, ok := forms[typ.Elem()]; ok || typ.Elem().Kind() != reflect.Struct {
			describeValue(have, at+"[]", "", typ.Elem())
		} else {
			describe(have, at+"[].", typ.Elem())
		}
	case typ.Kind() == reflect.Struct:
		have[at] = "object" + more
		describe(have, at+".", typ)
	default:
		have[at] = "number" + more
	}
}
