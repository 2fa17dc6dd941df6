package compare

import "testing"

func TestMadeKey(t *testing.T) {
	for name, want := range map[string]bool{
		"10042": true, "123e4567-e89b-12d3-a456-426614174000": true, "9fceb02d0ae598e9": true,
		"01ARZ3NDEKTSV4RRFFQ69G5FAV": true, "7pQ2x9LmZ4a1Tt8B": true,
		"": false, "404": false, "name": false, "sha256": false, "deadbeefdead": false, "item-10042": false,
		"ipv4addressOfTheHost": false, "sha256_checksum_2024": false, "2026-11-22T10:00:00Z": false,
	} {
		if madeKey([]byte(name)) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// Objects with random keys differ in one place, which rules name with a star or
// by the very key.
func TestMadeKeyPlaces(t *testing.T) {
	p := []byte(`{"sessions":{"9fceb02d0ae598e9":{"n":1},"0ae598e99fceb02d":2}}`)
	a := []byte(`{"sessions":{"9fceb02d0ae598e9":{"n":3},"0ae598e9000eb02d":2}}`)
	for _, tt := range []struct {
		rule string
		want []string
	}{
		{"$.other", []string{"$.sessions.*.n", "$.sessions.*", "$.sessions.*"}},
		{"$.sessions.*", []string{"$.sessions.*.n"}},
		{`$.sessions["9fceb02d0ae598e9"].n`, []string{"$.sessions.*", "$.sessions.*"}},
	} {
		rules := rulesFrom(t, "version: 1\nrules:\n  - json: ['"+tt.rule+"']\n")
		f := found{rules: rules}
		f.json(p, a)
		if len(f.differences) != len(tt.want) {
			t.Fatalf("%s: %v", tt.rule, f.differences)
		}
		for i, d := range f.differences {
			if d.Place.Name != tt.want[i] {
				t.Errorf("%s: %s, want %s", tt.rule, d.Place.Name, tt.want[i])
			}
		}
	}
}
