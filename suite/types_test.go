package suite

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestHashText(t *testing.T) {
	h := Hash{1, 0xab}
	b, err := json.Marshal(map[Hash]Hash{h: h})
	if err != nil {
		t.Fatal(err)
	}
	var back map[Hash]Hash
	if err := json.Unmarshal(b, &back); err != nil || back[h] != h {
		t.Fatalf("%s: %v, %v", b, back, err)
	}
	if !(Hash{}).IsZero() || h.IsZero() {
		t.Fatal("IsZero")
	}
	for _, bad := range []string{"", "00", strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("g", 64), strings.Repeat("0", 66)} {
		if err := new(Hash).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestHashCBOR(t *testing.T) {
	h := Hash{1, 0xab}
	b, err := h.MarshalCBOR()
	if err != nil {
		t.Fatal(err)
	}
	var back Hash
	if err := back.UnmarshalCBOR(b); err != nil || back != h {
		t.Fatalf("%x: %v, %v", b, back, err)
	}
	for _, bad := range [][]byte{nil, b[:33], append(bytes.Clone(b), 0), append([]byte{0x78}, b[1:]...), append([]byte{0x59, 0}, b[1:]...), {0xf6}} {
		if err := back.UnmarshalCBOR(bad); err == nil {
			t.Errorf("%x was accepted", bad)
		}
	}
}

func TestPublicKeyText(t *testing.T) {
	k := PublicKey{2, 0xab}
	b, err := json.Marshal(k)
	if err != nil || string(b) != `"02ab"` {
		t.Fatalf("%s, %v", b, err)
	}
	var back PublicKey
	if err := json.Unmarshal(b, &back); err != nil || !bytes.Equal(back, k) {
		t.Fatalf("%v, %v", back, err)
	}
	for _, bad := range []string{`"0"`, `"xx"`, `1`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestKeyCacheForgets(t *testing.T) {
	c := newKeyCache[int, int](4)
	for i := range 1000 {
		c.put(i, i*i)
		if v, ok := c.get(7); i >= 7 && (!ok || v != 49) {
			t.Fatalf("key 7, in use, was forgotten after %d others: %d, %v", i, v, ok)
		}
		if n := len(c.young) + len(c.old); n > 8 {
			t.Fatalf("%d entries", n)
		}
	}
	if _, ok := c.get(100); ok {
		t.Fatal("key 100 was never forgotten")
	}
}

func TestKeyCacheConcurrent(t *testing.T) {
	c := newKeyCache[int, int](8)
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for i := range 2000 {
				k := i % 40
				if v, ok := c.get(k); ok && v != k*k {
					t.Errorf("key %d has value %d", k, v)
				}
				c.put(k, k*k)
			}
		})
	}
	done.Wait()
}

func TestInParallelCoversOnce(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 1000} {
		counts := make([]atomic.Int32, n)
		inParallel(n, 8, func(low, high int) {
			for i := low; i < high; i++ {
				counts[i].Add(1)
			}
		})
		for i := range counts {
			if got := counts[i].Load(); got != 1 {
				t.Fatalf("item %d of %d done %d times", i, n, got)
			}
		}
	}
}
