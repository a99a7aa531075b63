package config

import (
	"bytes"
	"testing"

	"aval/internal/appetite"
)

// TestAppetite gives the reader of configurations what is worst for it. Whoever writes config.toml has the machine already, so it need
// not keep to what strangers are held to, but it must stay linear: four times the input takes at most five times as much.
func TestAppetite(t *testing.T) {
	for _, unit := range []string{"[[peers]]\n", "a=[[", "a.b.c.d.e.", "[a]\n", "\"", "peers=[{},", "x=1\n"} {
		read := func(size int) uint64 {
			b := bytes.Repeat([]byte(unit), size/len(unit))
			return appetite.Of(func() { _ = new(Node).decode("config.toml", b) })
		}
		small, large := read(16<<10), read(64<<10)
		if large > 5*small+appetite.Slack {
			t.Errorf("%q: %d bytes for 16 KiB, %d for 64 KiB", unit, small, large)
		}
	}
}
