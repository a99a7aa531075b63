package suite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"

	"aval/internal/invariant"

	"pgregory.net/rapid"
)

// oneByOne is a suite as another package would make it: it has nothing but the methods of Suite.
type oneByOne struct{ Suite }

// slowSM returns an sm without lanes.
func slowSM() *sm {
	s := newSM()
	s.lanes = nil
	return s
}

// TestManyAgreesWithOne draws messages: hashed together they have the hashes they have alone, in every suite.
func TestManyAgreesWithOne(t *testing.T) {
	off := newSM()
	if off.lanes != nil {
		off.lanes.off.Store(true)
	}
	suites := map[string]Suite{"sm": newSM(), "sm off": off, "sm without": slowSM(), "sm foreign": oneByOne{newSM()}, "intl": newIntl()}
	rapid.Check(t, func(t *rapid.T) {
		messages := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 200), 0, 30).Draw(t, "messages")
		prefix := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "prefix")
		size := rapid.IntRange(0, 150).Draw(t, "size")
		packed := make([]byte, size*len(messages)+rapid.IntRange(0, 3).Draw(t, "more"))
		for i := range packed {
			packed[i] = byte(i * 7 >> 2)
		}
		domain := Domain(prefix)
		for name, s := range suites {
			hashes, sums, pack := make([]Hash, len(messages)), make([]Hash, len(messages)), make([]Hash, len(messages))
			HashMany(s, domain, messages, hashes)
			SumMany(s, prefix, messages, sums)
			SumPacked(s, size, packed, pack)
			for i, m := range messages {
				if want := s.Hash(domain, m); hashes[i] != want {
					t.Fatalf("%s: message %d under a domain: %s, alone %s", name, i, hashes[i], want)
				}
				if want := s.Sum(prefix, m); sums[i] != want {
					t.Fatalf("%s: message %d after a prefix: %s, alone %s", name, i, sums[i], want)
				}
				if want := s.Sum(packed[i*size : (i+1)*size]); pack[i] != want {
					t.Fatalf("%s: packed message %d: %s, alone %s", name, i, pack[i], want)
				}
			}
		}
	})
}

// TestManyLarge has tags and messages beyond gatherMax.
func TestManyLarge(t *testing.T) {
	messages, out := [][]byte{make([]byte, gatherMax), nil, make([]byte, 3*gatherMax+1)}, make([]Hash, 3)
	domain := Domain(make([]byte, gatherMax+5))
	for _, s := range All() {
		HashMany(s, domain, messages, out)
		for i := range out {
			if out[i] != s.Hash(domain, messages[i]) {
				t.Errorf("%s: message %d", s.Name(), i)
			}
		}
	}
}

// TestManyMisuse: lengths that do not fit are mistakes of the program, in every suite.
func TestManyMisuse(t *testing.T) {
	for _, s := range All() {
		for name, do := range map[string]func(){
			"hash":     func() { HashMany(s, "d", make([][]byte, 2), make([]Hash, 3)) },
			"sum":      func() { SumMany(s, nil, make([][]byte, 3), make([]Hash, 2)) },
			"packed":   func() { SumPacked(s, 10, make([]byte, 29), make([]Hash, 3)) },
			"negative": func() { SumPacked(s, -1, nil, make([]Hash, 3)) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s, %s: no panic", s.Name(), name)
					}
				}()
				do()
			}()
		}
	}
}

// TestLanesRecheck: of all digests, one in lanesRecheckEvery is computed again, whatever the batches, and a wrong one is a
// violation.
func TestLanesRecheck(t *testing.T) {
	l, number := &lanes{}, 0
	var again []int
	for n := range 300 {
		l.recheck(n, func(i int) (got, want Hash, message []byte) {
			again = append(again, number+i+1)
			return Hash{1}, Hash{1}, nil
		})
		number += n
	}
	if len(again) != number/lanesRecheckEvery {
		t.Errorf("%d of %d were computed again", len(again), number)
	}
	for _, i := range again {
		if i%lanesRecheckEvery != 0 {
			t.Errorf("number %d was computed again", i)
		}
	}
	var err error
	func() {
		defer invariant.Recover(&err)
		l.recheck(lanesRecheckEvery, func(int) (got, want Hash, message []byte) { return Hash{1}, Hash{2}, nil })
	}()
	if violation := new(invariant.Violation); !errors.As(err, &violation) {
		t.Errorf("a wrong digest: %v", err)
	}
}

// TestLanesWrong has a library that hashes something else: the self test and the samples find out.
func TestLanesWrong(t *testing.T) {
	s := newSM()
	s.sum = sha256.Sum256
	wrong, err := s.sumMany()
	if err != nil || len(wrong) > 0 != (s.lanes != nil) {
		t.Errorf("self test: %v, %d bytes of wrong digests", err, len(wrong))
	}
	if s.lanes == nil {
		return
	}
	for name, do := range map[string]func(n int){
		"hash":   func(n int) { HashMany(s, "d", make([][]byte, n), make([]Hash, n)) },
		"sum":    func(n int) { SumMany(s, nil, make([][]byte, n), make([]Hash, n)) },
		"packed": func(n int) { SumPacked(s, 1, make([]byte, n), make([]Hash, n)) },
	} {
		var err error
		func() {
			defer invariant.Recover(&err)
			do(lanesRecheckEvery)
		}()
		if violation := new(invariant.Violation); !errors.As(err, &violation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSetFastSM3 turns the switch while messages are hashed.
func TestSetFastSM3(t *testing.T) {
	s, err := ByID(SM)
	if err != nil {
		t.Fatal(err)
	}
	defer SetFastSM3(true)
	messages := [][]byte{[]byte("abc"), []byte("d")}
	want := []Hash{s.Sum(messages[0]), s.Sum(messages[1])}
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range 1000 {
				var out [2]Hash
				if SumMany(s, nil, messages, out[:]); out[0] != want[0] || out[1] != want[1] {
					t.Error("a wrong digest")
				}
			}
		})
	}
	for i := range 100 {
		SetFastSM3(i%2 == 1)
	}
	group.Wait()
	l := s.(*sm).lanes
	for _, on := range []bool{false, true} {
		SetFastSM3(on)
		if l == nil {
			continue
		}
		before := l.digests.Load()
		SumMany(s, nil, messages, make([]Hash, 2))
		if fast := l.digests.Load() > before; fast != on {
			t.Errorf("on %v: the lanes hashed: %v", on, fast)
		}
	}
}

// TestBatchDigests: messages of all lengths, some longer than what is gathered, have the digest that their signatures need.
func TestBatchDigests(t *testing.T) {
	s := newSM()
	signer := testSigner(t, s, "digests")
	var items []Signed
	for i := range 3*smDigests + 5 {
		size := i * 7
		switch i {
		case 3, 70, 71:
			size = gatherMax + i
		case 90:
			size = gatherMax - 100
		}
		domain, message := Domain(fmt.Sprint("d", i%3)), make([]byte, size)
		items = append(items, Signed{signer.Public(), domain, message, mustSign(t, signer, domain, message)})
	}
	for i, ok := range s.VerifyBatch(items) {
		if !ok {
			t.Errorf("item %d is not valid", i)
		}
	}
}
