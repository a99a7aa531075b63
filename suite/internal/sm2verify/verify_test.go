package sm2verify

import (
	"fmt"
	"io"
	"math/big"
	"runtime"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// changed returns a case with something changed.
func changed(c testCase, change func(c *testCase)) testCase {
	change(&c)
	return c
}

// setR and setS put numbers into a signature.
func setR(v *big.Int) func(c *testCase) { return func(c *testCase) { v.FillBytes(c.sig[:32]) } }
func setS(v *big.Int) func(c *testCase) { return func(c *testCase) { v.FillBytes(c.sig[32:64]) } }

// specials are the cases that no one meets by chance.
func specials(t reporter) map[string]testCase {
	good := signed(t, 3, 5, 7)
	r, s := number(good.sig[:32]), number(good.sig[32:64])
	all := new(big.Int).Sub(bigR, big.NewInt(1))
	plus := func(v *big.Int, d int64) *big.Int { return new(big.Int).Add(v, big.NewInt(d)) }
	zero, a, b := new(big.Int), big.NewInt(0x1234567), big.NewInt(0x7654321)
	out := map[string]testCase{
		"good":             good,
		"digest 0":         signed(t, 3, 5, 0),
		"key G":            signed(t, 1, 5, 7),
		"nonce 1":          signed(t, 3, 1, 7),
		"r = 0":            changed(good, setR(zero)),
		"s = 0":            changed(good, setS(zero)),
		"r = n":            changed(good, setR(bigN)),
		"s = n":            changed(good, setS(bigN)),
		"r + n":            changed(good, setR(new(big.Int).Mod(plus(new(big.Int).Add(r, bigN), 0), bigR))),
		"r = n−1":          changed(good, setR(plus(bigN, -1))),
		"s = n−1":          changed(good, setS(plus(bigN, -1))),
		"r = n+1":          changed(good, setR(plus(bigN, 1))),
		"r = 2^256−1":      changed(good, setR(all)),
		"s = 2^256−1":      changed(good, setS(all)),
		"r = 1, s = 1":     changed(changed(good, setR(big.NewInt(1))), setS(big.NewInt(1))),
		"t = 0":            changed(good, setS(new(big.Int).Sub(bigN, r))),
		"−s":               changed(good, setS(new(big.Int).Sub(bigN, s))),
		"r and s swapped":  changed(changed(good, setR(s)), setS(r)),
		"digest all ones":  crafted(t, twinBase(big.NewInt(9)), modN(new(big.Int).Add(all, twinBase(big.NewInt(9)).x)), b),
		"x1 >= n, even":    crafted(t, pointAbove(bigN, 0), a, b),
		"x1 >= n, odd":     crafted(t, pointAbove(bigN, 1), a, b),
		"x1 = 0, even":     crafted(t, pointAbove(zero, 0), a, b),
		"x1 small, odd":    crafted(t, pointAbove(big.NewInt(1), 1), a, b),
		"x1 + n = x1 of R": changed(crafted(t, pointAbove(zero, 0), a, b), func(c *testCase) { c.sig[64] |= flagOverflow }),
		"x1 − n = x1 of R": changed(crafted(t, pointAbove(bigN, 0), a, b), func(c *testCase) { c.sig[64] &= flagOdd }),
	}
	// What the library multiplies wrongly: a key and a nonce point with such an x.
	limb := new(big.Int).Lsh(big.NewInt(1), 63)
	step := new(big.Int).Lsh(big.NewInt(1), 64)
	for ; ; limb.Add(limb, step) {
		var p [KeySize]byte
		p[0] = 3
		limb.FillBytes(p[1:])
		if point, ok := twinDecode(&p); ok {
			out["key with low limb 2^63"] = changed(good, func(c *testCase) { c.key = p })
			out["nonce point with low limb 2^63"] = crafted(t, point, a, b)
			break
		}
	}
	// A digest not below n stands for the same number as one that is: e + n, if that has 256 bits.
	c := crafted(t, twinBase(big.NewInt(9)), modN(new(big.Int).Add(twinBase(big.NewInt(9)).x, big.NewInt(77))), b)
	out["digest below n"] = c
	out["digest + n"] = changed(c, func(c *testCase) { c.digest = bytes32(new(big.Int).Add(number(c.digest[:]), bigN)) })
	for flag := range 6 {
		out[fmt.Sprint("flag ", flag)] = changed(good, func(c *testCase) { c.sig[64] = byte(flag) })
		out[fmt.Sprint("x1 >= n, flag ", flag)] = changed(out["x1 >= n, odd"], func(c *testCase) { c.sig[64] = byte(flag) })
	}
	out["flag 255"] = changed(good, func(c *testCase) { c.sig[64] = 255 })
	// t·P = −s·G: the sum is O, which has no x, whatever R the digest asks for.
	u := modN(new(big.Int).Neg(new(big.Int).Mul(b, new(big.Int).ModInverse(big.NewInt(3), bigN))))
	ru := modN(new(big.Int).Sub(u, b))
	out["sum is O"] = changed(changed(changed(good, setR(ru)), setS(b)), func(c *testCase) {
		c.digest = bytes32(modN(new(big.Int).Sub(ru, twinBase(big.NewInt(4)).x)))
	})
	// t = 0 with a digest for which the equation would hold: e + x(s·G) = r.
	minus := new(big.Int).Sub(bigN, big.NewInt(99))
	out["t = 0, equation holds"] = changed(changed(changed(good, setR(minus)), setS(big.NewInt(99))), func(c *testCase) {
		base := twinBase(big.NewInt(99))
		c.digest, c.sig[64] = bytes32(modN(new(big.Int).Sub(minus, base.x))), byte(base.y.Bit(0))
	})
	return out
}

// TestSpecials verifies each special case alone and all together. The number of valid ones is fixed, so that a twin that
// refuses everything would show.
func TestSpecials(t *testing.T) {
	v := newTestVerifier(Config{})
	var together []testCase
	valid := 0
	for name, c := range specials(t) {
		t.Run(name, func(t *testing.T) {
			for _, ok := range agree(t, v, c) {
				if ok {
					valid++
				}
			}
		})
		together = append(together, c)
	}
	agree(t, v, together...)
	// good, digest 0, key G, nonce 1, digest all ones, digest below n, digest + n; x1 >= n twice; x1 small twice; one flag of
	// each six; nonce point with low limb 2^63.
	if valid != 14 {
		t.Errorf("%d are valid", valid)
	}
}

// TestGBT32918Example is GB/T 32918.5 appendix A.2.
func TestGBT32918Example(t *testing.T) {
	hex := func(s string) *big.Int { v, _ := new(big.Int).SetString(s, 16); return v }
	k := newTestKey(hex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"))
	c := testCase{key: k.public, digest: bytes32(hex("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"))}
	setR(hex("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"))(&c)
	setS(hex("b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"))(&c)
	v := newTestVerifier(Config{})
	var answers []bool
	for flag := range byte(4) {
		c.sig[64] = flag
		answers = append(answers, agree(t, v, c)...)
	}
	if !slices.Equal(answers, []bool{true, false, false, false}) && !slices.Equal(answers, []bool{false, true, false, false}) {
		t.Errorf("valid by flag: %v", answers)
	}
}

// TestOppositeNoncePoints puts R and −R, and the same R again, of one key and of two, into one batch, and checks that wrong
// signatures whose errors cancel without coefficients are found.
func TestOppositeNoncePoints(t *testing.T) {
	v := newTestVerifier(Config{})
	minus := func(k int64) *big.Int { return new(big.Int).Sub(bigN, big.NewInt(k)) }
	var cases []testCase
	for _, d := range []int64{2, 3, 2} {
		k := newTestKey(big.NewInt(d))
		for _, nonce := range []*big.Int{big.NewInt(5), minus(5), big.NewInt(5), big.NewInt(1), minus(1), big.NewInt(d), minus(d)} {
			c := testCase{key: k.public, digest: bytes32(big.NewInt(1000 + d))}
			var ok bool
			if c.sig, ok = k.sign(nonce, c.digest); !ok {
				t.Fatalf("nonce %x", nonce)
			}
			cases = append(cases, c)
		}
	}
	for i, ok := range agree(t, v, cases...) {
		if !ok {
			t.Errorf("case %d is not valid", i)
		}
	}
	// s + 1 in one and s − 1 in another change Σ (s·G + t·P − R) by G + P − G − P.
	a, b := cases[0], cases[2]
	one := big.NewInt(1)
	setS(new(big.Int).Add(number(a.sig[32:64]), one))(&a)
	setS(new(big.Int).Sub(number(b.sig[32:64]), one))(&b)
	if got := agree(t, v, a, b); got[0] || got[1] {
		t.Error("wrong signatures are valid")
	}
}

// mixed draws signatures by a few keys, some of which were changed.
func mixed(t *rapid.T, n int) (cases []testCase) {
	for i := range n {
		k := newTestKey(big.NewInt(rapid.Int64Range(1, 9).Draw(t, "key")))
		c := testCase{key: k.public, digest: bytes32(big.NewInt(int64(i)))}
		var ok bool
		if c.sig, ok = k.sign(drawNumber(t, "nonce"), c.digest); !ok {
			continue
		}
		if rapid.IntRange(0, 9).Draw(t, "wrong") == 0 {
			switch bit := rapid.IntRange(0, 8*(SignatureSize+32)-1).Draw(t, "bit"); {
			case bit < 8*SignatureSize:
				c.sig[bit/8] ^= 1 << (bit % 8)
			default:
				bit -= 8 * SignatureSize
				c.digest[bit/8] ^= 1 << (bit % 8)
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// TestMixedBatches: the answers to batches of valid and wrong signatures are the twin's.
func TestMixedBatches(t *testing.T) {
	usual, small := New(Config{}), newTestVerifier(Config{})
	rapid.Check(t, func(t *rapid.T) {
		if rapid.Bool().Draw(t, "usual") {
			agree(t, usual, mixed(t, rapid.IntRange(0, 30).Draw(t, "n"))...)
		} else {
			agree(t, small, mixed(t, rapid.IntRange(0, 10).Draw(t, "n"))...)
		}
	})
}

// TestLiarsCostLittle counts the signatures that equations are computed for: none but the first for an honest batch, a few
// times as many for one liar, at most checksMax times as many for any number.
func TestLiarsCostLittle(t *testing.T) {
	const n = 64
	good := make([]testCase, n)
	for i := range good {
		good[i] = signed(t, int64(i%5+1), int64(i+1), int64(i))
	}
	for wrong, most := range map[int]int{0: n, 1: checksMax * n, n / 2: checksMax * n, n: checksMax * n} {
		cases := slices.Clone(good)
		for i := range wrong {
			cases[i*n/wrong].digest[0] ^= 1
			cases[i*n/wrong] = crafted(t, twinBase(big.NewInt(int64(i+1))), big.NewInt(int64(i+5)), big.NewInt(9)) // has a nonce point
			cases[i*n/wrong].sig[63] ^= 1
		}
		drawn := &countingReader{}
		v := newTestVerifier(Config{BatchMin: 4, Random: drawn})
		agree(t, v, cases...)
		if drawn.n > 16*most || wrong == 0 && drawn.n != 16*n {
			t.Errorf("%d wrong: equations for %d signatures, the most is %d", wrong, drawn.n/16, most)
		}
	}
}

// countingReader returns bytes that repeat, and counts them.
type countingReader struct{ n int }

func (r *countingReader) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte((r.n + i) * 167 >> 3)
	}
	r.n += len(b)
	return len(b), nil
}

// TestNoRandomness: when randomness runs out, the answers are still right.
func TestNoRandomness(t *testing.T) {
	wrong := signed(t, 2, 3, 4)
	wrong.sig[63] ^= 1
	for n := range 60 {
		v := newTestVerifier(Config{Random: io.LimitReader(&countingReader{}, int64(n))})
		agree(t, v, signed(t, 2, 3, 4), wrong, signed(t, 2, 4, 5))
	}
}

// TestKeys: what is not a public key is refused, and the label is of the right coordinates.
func TestKeys(t *testing.T) {
	var labelled [2][32]byte
	v := New(Config{Label: func(x, y *[32]byte) [32]byte { labelled = [2][32]byte{*x, *y}; return *y }})
	good := newTestKey(big.NewInt(77))
	if k, ok := v.Key(&good.public); !ok || number(labelled[0][:]).Cmp(twinBase(good.d).x) != 0 || k.Label() == nil || *k.Label() != bytes32(twinBase(good.d).y) {
		t.Errorf("%v, %x", ok, labelled)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := [KeySize]byte(rapid.SliceOfN(rapid.Byte(), KeySize, KeySize).Draw(t, "key"))
		if rapid.Bool().Draw(t, "prefix") {
			b[0] = 2 + b[0]&1
		}
		if rapid.IntRange(0, 3).Draw(t, "near p") == 0 {
			new(big.Int).Add(bigP, big.NewInt(rapid.Int64Range(-20, 20).Draw(t, "offset"))).FillBytes(b[1:])
		}
		_, ok := v.Key(&b)
		if _, want := twinDecode(&b); ok != want {
			t.Fatalf("%x: %v, want %v", b, ok, want)
		}
	})
	for _, head := range []byte{0, 1, 4, 5, 6, 7} {
		b := good.public
		b[0] = head
		if _, ok := v.Key(&b); ok {
			t.Errorf("a key that begins with %d", head)
		}
	}
}

// TestCachesAreBounded: caches of two keys and one table give the same answers, and stay as small.
func TestCachesAreBounded(t *testing.T) {
	v := newTestVerifier(Config{KeyBytesMax: 2 * keyBytes, TableBytesMax: 1})
	var cases []testCase
	for i := range int64(24) {
		c := signed(t, 1+i%6, 1+i, i)
		c.sig[32] ^= byte(i / 20)
		cases = append(cases, c)
	}
	agree(t, v, cases...)
	if v.keys.len() != 2 || v.tables.len() != 1 {
		t.Errorf("%d keys, %d tables", v.keys.len(), v.tables.len())
	}
}

// TestEntriesAreCounted: decoded keys, with all that batches add to them, and tables take no more memory than they are counted
// for.
func TestEntriesAreCounted(t *testing.T) {
	heap := func() int {
		var m runtime.MemStats
		for range 3 { // pools are emptied by the second
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	for name, c := range map[string]struct {
		n, each int
		add     func(v *Verifier, key *[KeySize]byte, k *Key)
	}{
		"keys": {3000, keyBytes, func(v *Verifier, key *[KeySize]byte, k *Key) { k.raised(); v.keys.put(key, k) }},
		"tables": {100, tableBytes, func(v *Verifier, key *[KeySize]byte, k *Key) {
			v.tables.put(key, makeTable(&k.point, keyWidth, spacing))
		}},
	} {
		public := newTestKey(big.NewInt(77)).public
		v := New(Config{})
		before := heap()
		for i := range c.n {
			k, ok := decode(&public)
			if !ok {
				t.Fatal("refused")
			}
			c.add(v, &[KeySize]byte{byte(i), byte(i >> 8)}, k)
		}
		if grown := heap() - before; grown > c.n*c.each || grown < c.n*c.each/4 {
			t.Errorf("%d %s take %d bytes each, counted as %d", c.n, name, grown/c.n, c.each)
		}
		runtime.KeepAlive(v)
	}
}

// TestCacheKeepsWhatIsUsed: an entry that is used between any two passes of the hand stays, however many others come.
func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c := newCache[int](4)
	hot := [KeySize]byte{1}
	c.put(&hot, 7)
	for i := range 100 {
		if v, ok := c.get(&hot); !ok || v != 7 {
			t.Fatalf("gone after %d others", i)
		}
		c.put(&[KeySize]byte{2, byte(i)}, i)
	}
	if c.len() != 4 || len(c.at) != 4 {
		t.Fatalf("%d entries, %d in the map", c.len(), len(c.at))
	}
	if v := c.put(&hot, 8); v != 7 {
		t.Fatalf("a second value: %d", v)
	}
}

// TestPatience: a table is kept for a key only after so many signatures.
func TestPatience(t *testing.T) {
	v := New(Config{TableAfter: 3})
	list, _ := items(t, v, []testCase{signed(t, 2, 3, 4)})
	for i := range 6 {
		if ok, kept := v.One(&list[0]), v.tables.len() == 1; !ok || kept != (i >= 3) {
			t.Fatalf("signature %d: valid %v, table kept %v", i, ok, kept)
		}
	}
}

// TestConcurrentUse verifies from several goroutines with caches too small for all keys.
func TestConcurrentUse(t *testing.T) {
	v := newTestVerifier(Config{KeyBytesMax: 4 * keyBytes, TableBytesMax: 2 * tableBytes})
	var cases []testCase
	for i := range int64(32) {
		c := signed(t, 1+i%7, 1+i, i)
		if i%9 == 8 {
			c.sig[40] ^= 4
		}
		cases = append(cases, c)
	}
	_, want := items(t, v, cases)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			list := make([]Item, len(cases))
			for i, c := range cases {
				k, ok := v.Key(&c.key)
				if !ok {
					t.Errorf("key %x is refused", c.key)
					return
				}
				list[i] = Item{k, c.digest, c.sig}
			}
			out := make([]bool, len(list))
			if v.Batch(list, out); !slices.Equal(out, want) {
				t.Errorf("%v, want %v", out, want)
			}
			for i := range list {
				if ok := v.One(&list[i]); ok != want[i] {
					t.Errorf("%s: %v", cases[i], ok)
				}
			}
		})
	}
	group.Wait()
}
