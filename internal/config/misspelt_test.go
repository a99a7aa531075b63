package config

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMisspeltEnvironmentIsRefused(t *testing.T) {
	for environ, want := range map[string]string{
		"HOME=/x AVAL_HOME=/y AVAL_NODES=http://a AVAL_PASSPHRASE=p AVAL_NODE_HTTP_LISTEN=:1": "",
		"AVAL_NODE_HTTP_LISTN=:1": "$AVAL_NODE_HTTP_LISTN is no setting of a node (did you mean $AVAL_NODE_HTTP_LISTEN?)",
		"AVAL_NODE_":              "$AVAL_NODE_ is no setting of a node",
		"AVAL_NODE_PURPLE=1":      "$AVAL_NODE_PURPLE is no setting of a node",
		"AVAL_NODE_LOGLEVEL=info": "did you mean $AVAL_NODE_LOG_LEVEL?",
	} {
		err := CheckEnviron(strings.Fields(environ))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", environ, err, want)
		}
	}
}

func TestMisspeltKeyOfTheFileIsNamed(t *testing.T) {
	n := Default()
	err := n.decode("config.toml", []byte("nane = \"x\"\n[http]\nlisten = \":1\"\nlissten = \":2\"\n"))
	if err == nil || !strings.Contains(err.Error(), `config.toml:1: unknown key "nane" (did you mean name?)`) ||
		!strings.Contains(err.Error(), `config.toml:4: unknown key "http.lissten" (did you mean http.listen?)`) {
		t.Error(err)
	}
}

// TestDistance compares with the definition, by recursion.
func TestDistance(t *testing.T) {
	var slow func(a, b string) int
	slow = func(a, b string) int {
		switch {
		case a == "":
			return len(b)
		case b == "":
			return len(a)
		case a[0] == b[0]:
			return slow(a[1:], b[1:])
		}
		return 1 + min(slow(a[1:], b), slow(a, b[1:]), slow(a[1:], b[1:]))
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ab_]{0,6}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		if got, want := distance(a, b), slow(a, b); got != want {
			t.Fatalf("distance(%q, %q) = %d, want %d", a, b, got, want)
		}
	})
}
