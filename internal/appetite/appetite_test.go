package appetite

import (
	"bytes"
	"encoding/json"
	"testing"
)

// recorder is a test that notes whether it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

var sink []byte

func TestCheckMeasuresWhatIsAllocated(t *testing.T) {
	for _, c := range []struct {
		input, allocated int
		fails            bool
	}{{100, 0, false}, {100, Slack / 2, false}, {100, 2 * Slack, true}, {1 << 20, 9 << 20, false}, {1 << 20, 12 << 20, true}} {
		r := &recorder{TB: t}
		Check(r, c.input, func() { sink = make([]byte, c.allocated) })
		if r.failed != c.fails {
			t.Errorf("%+v: failed %v", c, r.failed)
		}
	}
	if got := Of(func() { sink = make([]byte, 1<<20) }); got < 1<<20 || got > 2<<20 {
		t.Errorf("a megabyte measures %d", got)
	}
	if got := quickly(func() { sink = make([]byte, 1<<20) }); got < 1<<20 {
		t.Errorf("a megabyte measures %d while fuzzing", got)
	}
}

type inner struct {
	Names []string
	Next  *inner
}

type outer struct {
	Many  []inner
	Bytes []byte
	One   *inner
}

// TestWorstFillsEveryList finds each list of a type filled in one of the inputs, as far as they may go, and spoilt in others.
func TestWorstFillsEveryList(t *testing.T) {
	const most = 4096
	inputs := Worst(&outer{}, json.Marshal, most)
	longest := map[string]int{}
	for _, b := range inputs {
		if len(b) > most+1 {
			t.Errorf("an input of %d bytes", len(b))
		}
		var v outer
		if json.Unmarshal(b, &v) != nil {
			longest["spoilt"]++
			continue
		}
		longest["many"] = max(longest["many"], len(v.Many))
		if len(v.Many) == 1 {
			longest["names"] = max(longest["names"], len(v.Many[0].Names))
		}
		if v.One != nil {
			longest["one"] = max(longest["one"], len(v.One.Names))
		}
	}
	for _, where := range []string{"many", "names", "one", "spoilt"} {
		if longest[where] < 10 {
			t.Errorf("%s: %d", where, longest[where])
		}
	}
	if m := Malformed(1 << 10); len(m) < 20 || !bytes.Contains(bytes.Join(m, nil), bytes.Repeat([]byte{0x81}, 1<<10)) {
		t.Errorf("%d malformed inputs", len(m))
	}
}
