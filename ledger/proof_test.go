package ledger_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"aval/codec"
	"aval/ledger"
	"aval/merkle"
	"aval/suite"
)

// world is a small network that can certify headers, with the keys of three epochs' validators.
type world struct {
	s       suite.Suite
	genesis ledger.Genesis
	signers map[string]suite.Signer
	epochs  []ledger.ValidatorSet
}

func newWorld(t testing.TB, name string, clock ledger.ClockMode) *world {
	t.Helper()
	s, err := suite.ByName(name)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{s: s, signers: map[string]suite.Signer{}}
	key := func(seed byte) suite.PublicKey {
		signer, err := s.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 256)))
		if err != nil {
			t.Fatal(err)
		}
		signer = suite.Deterministic(signer)
		w.signers[string(signer.Public())] = signer
		return signer.Public()
	}
	for epoch := range 3 {
		var set ledger.ValidatorSet
		for i := range 4 {
			set = append(set, ledger.Validator{Name: fmt.Sprintf("v%d", epoch+i), Key: key(byte(1 + epoch + i))})
		}
		w.epochs = append(w.epochs, set)
	}
	id, err := ledger.CompleteUSCC("91310000MA1FL0000")
	if err != nil {
		t.Fatal(err)
	}
	w.genesis = ledger.Genesis{Version: 1, Name: "proof", Suite: s.ID(), Clock: clock, Wall: 1000, Start: 1000,
		Authority: ledger.GenesisParty{ID: id, Name: "A", Members: []ledger.GenesisMember{{Key: key(90), Caps: ledger.CapAdmin, Person: suite.Hash{1}}}},
		Issuers:   []ledger.IdentityIssuer{}, Validators: w.epochs[0], Observers: []ledger.Validator{}, Params: ledger.DefaultParams(4)}
	if clock == ledger.ClockLab {
		w.genesis.ClockKey = key(91)
	}
	if err := w.genesis.Check(s); err != nil {
		t.Fatal(err)
	}
	return w
}

// header returns a header of one epoch with what every verifier asks of it.
func (w *world) header(epoch int, height ledger.Height) ledger.Header {
	hash := w.epochs[epoch].Hash(w.s)
	return ledger.Header{Version: 1, Suite: w.s.ID(), Network: w.genesis.NetworkID(w.s), Epoch: uint64(epoch), Height: height,
		Wall: ledger.Time(height) * ledger.Second, Time: ledger.Time(height) * ledger.Second, Validators: hash, NextValidators: hash}
}

// certify signs h with the first n validators of its epoch.
func (w *world) certify(t testing.TB, h *ledger.Header, n int) ledger.Certificate {
	t.Helper()
	var c ledger.Certificate
	for i, v := range w.epochs[h.Epoch][:n] {
		sig, err := w.signers[string(v.Key)].Sign(ledger.DomainVote, h.VoteBytes(w.s))
		if err != nil {
			t.Fatal(err)
		}
		c.Votes = append(c.Votes, ledger.Vote{Validator: uint16(i), Sig: sig})
	}
	return c
}

// steps returns the changes of validators at heights 10, 20 … up to epoch.
func (w *world) steps(t testing.TB, epoch int) []ledger.ProofStep {
	t.Helper()
	steps := []ledger.ProofStep{}
	for e := range epoch {
		h := w.header(e, ledger.Height(10*(e+1)))
		h.NextValidators = w.epochs[e+1].Hash(w.s)
		steps = append(steps, ledger.ProofStep{Header: h, Certificate: w.certify(t, &h, 3), Next: w.epochs[e+1]})
	}
	return steps
}

// receiptProof proves the second of three receipts of height, certified in epoch.
func (w *world) receiptProof(t testing.TB, epoch int, height ledger.Height) *ledger.Proof {
	t.Helper()
	var leaves [][]byte
	receipts := make([]ledger.Receipt, 3)
	for i := range receipts {
		receipts[i] = ledger.Receipt{Height: height, Index: uint32(i), Tx: suite.Hash{byte(i + 1)}, FailedOp: -1, Final: true,
			Events: []ledger.Event{{Kind: "money.minted", Amount: 5}}, Rules: []ledger.RuleRef{}}
		leaves = append(leaves, codec.MustMarshal(&receipts[i]))
	}
	h := w.header(epoch, height+ledger.Lag)
	h.ReceiptsRoot = merkle.Root(w.s, leaves)
	p, err := ledger.NewReceiptProof(w.s, w.steps(t, epoch), h, w.certify(t, &h, 3), &receipts[1], leaves)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stateProof proves the only entry of a state, certified in epoch.
func (w *world) stateProof(t testing.TB, epoch int, height ledger.Height) *ledger.Proof {
	t.Helper()
	key, value := ledger.ClockKey(), codec.MustMarshal(&ledger.ClockRecord{Offset: 7})
	hasher := merkle.NewHasher(w.s)
	leaf := merkle.Leaf{Key: hasher.Key(key), Height: uint64(height), Previous: merkle.HeightNone, Value: hasher.Value(value)}
	h := w.header(epoch, height+ledger.Lag)
	h.StateRoot = hasher.Leaf(&leaf)
	path := &merkle.StateProof{Version: 1, End: merkle.EndValue, Height: uint64(height), Previous: merkle.HeightNone, Value: value}
	p, err := ledger.NewStateProof(w.steps(t, epoch), h, w.certify(t, &h, 3), key, path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func verify(w *world, b []byte, o ledger.VerifyOptions) (*ledger.Verdict, error) {
	p, err := ledger.DecodeProof(b)
	if err != nil {
		return nil, err
	}
	return ledger.VerifyProof(w.s, &w.genesis, p, o)
}

func TestProofShowsReceiptAndState(t *testing.T) {
	for _, s := range suite.All() {
		w := newWorld(t, s.Name(), ledger.ClockReal)
		for epoch := range 3 {
			height := ledger.Height(10*epoch + 3)
			v, err := verify(w, codec.MustMarshal(w.receiptProof(t, epoch, height)), ledger.VerifyOptions{})
			if err != nil {
				t.Fatalf("%s, epoch %d: %v", s.Name(), epoch, err)
			}
			if v.Receipt.Tx != (suite.Hash{2}) || v.Height != height || v.Header.Epoch != uint64(epoch) || v.NetworkName != "proof" {
				t.Errorf("%s: verdict %+v", s.Name(), v)
			}
			if want := []string{fmt.Sprintf("v%d", epoch), fmt.Sprintf("v%d", epoch+1), fmt.Sprintf("v%d", epoch+2)}; !slices.Equal(v.Signers, want) {
				t.Errorf("%s: signed by %v, want %v", s.Name(), v.Signers, want)
			}
			v, err = verify(w, codec.MustMarshal(w.stateProof(t, epoch, height)), ledger.VerifyOptions{})
			if err != nil {
				t.Fatalf("%s, epoch %d: %v", s.Name(), epoch, err)
			}
			if !v.Present || v.Written != height || !bytes.Equal(v.Key, ledger.ClockKey()) || len(v.Value) == 0 {
				t.Errorf("%s: verdict %+v", s.Name(), v)
			}
		}
	}
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	for _, s := range suite.All() {
		w := newWorld(t, s.Name(), ledger.ClockReal)
		for name, p := range map[string]*ledger.Proof{"receipt": w.receiptProof(t, 1, 13), "state": w.stateProof(t, 1, 13)} {
			good := codec.MustMarshal(p)
			if _, err := verify(w, good, ledger.VerifyOptions{}); err != nil {
				t.Fatal(err)
			}
			for i := range good {
				bad := bytes.Clone(good)
				bad[i] ^= 1 << (i % 8)
				if v, err := verify(w, bad, ledger.VerifyOptions{}); err == nil {
					t.Errorf("%s %s: byte %d changed by %#x still shows %+v", s.Name(), name, i, 1<<(i%8), v)
				}
				if _, err := verify(w, good[:i], ledger.VerifyOptions{}); err == nil {
					t.Errorf("%s %s: the first %d bytes are accepted", s.Name(), name, i)
				}
			}
		}
	}
}

func TestProofRefusals(t *testing.T) {
	w := newWorld(t, "intl", ledger.ClockReal)
	other := newWorld(t, "intl", ledger.ClockReal)
	other.genesis.Name = "other"
	lab := newWorld(t, "intl", ledger.ClockLab)
	for name, tc := range map[string]struct {
		w *world
		p func() *ledger.Proof
		o ledger.VerifyOptions
	}{
		"another network": {w, func() *ledger.Proof { return other.receiptProof(t, 0, 5) }, ledger.VerifyOptions{}},
		"no quorum": {w, func() *ledger.Proof {
			p := w.receiptProof(t, 0, 5)
			p.Certificate.Votes = p.Certificate.Votes[:2]
			return p
		}, ledger.VerifyOptions{}},
		"a step left out":    {w, func() *ledger.Proof { p := w.receiptProof(t, 2, 25); p.Steps = p.Steps[1:]; return p }, ledger.VerifyOptions{}},
		"steps swapped":      {w, func() *ledger.Proof { p := w.receiptProof(t, 2, 25); slices.Reverse(p.Steps); return p }, ledger.VerifyOptions{}},
		"a step too many":    {w, func() *ledger.Proof { p := w.receiptProof(t, 1, 15); p.Steps = w.steps(t, 2); return p }, ledger.VerifyOptions{}},
		"header before step": {w, func() *ledger.Proof { return w.receiptProof(t, 1, 5) }, ledger.VerifyOptions{}},
		"kind of another":    {w, func() *ledger.Proof { p := w.receiptProof(t, 0, 5); p.Kind = ledger.ProofState; return p }, ledger.VerifyOptions{}},
		"unknown kind":       {w, func() *ledger.Proof { p := w.receiptProof(t, 0, 5); p.Kind = 9; return p }, ledger.VerifyOptions{}},
		"a lab network":      {lab, func() *ledger.Proof { return lab.receiptProof(t, 0, 5) }, ledger.VerifyOptions{}},
		"too old":            {w, func() *ledger.Proof { return w.receiptProof(t, 0, 5) }, ledger.VerifyOptions{MaxAge: ledger.Second, Now: 9 * ledger.Second}},
		"from the future":    {w, func() *ledger.Proof { return w.receiptProof(t, 0, 5) }, ledger.VerifyOptions{MaxAge: ledger.Second, Now: -ledger.Hour}},
		"receipt of another height": {w, func() *ledger.Proof {
			p := w.receiptProof(t, 0, 5)
			p.Header.Height++
			p.Certificate = w.certify(t, &p.Header, 3)
			return p
		}, ledger.VerifyOptions{}},
	} {
		if v, err := verify(tc.w, codec.MustMarshal(tc.p()), tc.o); err == nil {
			t.Errorf("%s: accepted: %+v", name, v)
		}
	}
}

func TestLabAndStaleAreToldApart(t *testing.T) {
	lab := newWorld(t, "intl", ledger.ClockLab)
	p := lab.receiptProof(t, 0, 5)
	if _, err := ledger.VerifyProof(lab.s, &lab.genesis, p, ledger.VerifyOptions{}); !errors.Is(err, ledger.ErrLabProof) {
		t.Errorf("a lab proof fails with %v", err)
	}
	v, err := ledger.VerifyProof(lab.s, &lab.genesis, p, ledger.VerifyOptions{Lab: true, MaxAge: 1, Now: ledger.Hour})
	if !errors.Is(err, ledger.ErrStaleProof) || v == nil || !v.Lab {
		t.Errorf("a stale lab proof gives %+v, %v", v, err)
	}
	if _, err := ledger.VerifyProof(lab.s, &lab.genesis, p, ledger.VerifyOptions{Lab: true, MaxAge: ledger.Minute, Now: 8 * ledger.Second}); err != nil {
		t.Errorf("a fresh lab proof: %v", err)
	}
}

func TestPinnedEpoch(t *testing.T) {
	w := newWorld(t, "intl", ledger.ClockReal)
	first := w.receiptProof(t, 1, 13)
	v, err := ledger.VerifyProof(w.s, &w.genesis, first, ledger.VerifyOptions{})
	if err != nil || v.Pin.Epoch != 1 || v.Pin.Height != 15 {
		t.Fatalf("pin %+v, %v", v, err)
	}
	pin := v.Pin
	// A later proof may begin at the pinned epoch, or at the genesis.
	later := w.receiptProof(t, 2, 25)
	short := *later
	short.Steps = later.Steps[1:]
	for _, p := range []*ledger.Proof{later, &short} {
		v, err := ledger.VerifyProof(w.s, &w.genesis, p, ledger.VerifyOptions{Pin: &pin})
		if err != nil || v.Pin.Epoch != 2 {
			t.Fatalf("from epoch 1 to 2: %+v, %v", v, err)
		}
	}
	// An earlier proof keeps the pin.
	v, err = ledger.VerifyProof(w.s, &w.genesis, w.receiptProof(t, 0, 5), ledger.VerifyOptions{Pin: &pin})
	if err != nil || v.Pin.Epoch != 1 || v.Pin.Height != 15 {
		t.Fatalf("after an older proof: %+v, %v", v, err)
	}
	// Validators of epoch 0 whose keys were stolen since certify a header of their epoch for today: it stands at or above what is
	// pinned of a later epoch, or cannot be called fresh.
	for _, height := range []ledger.Height{pin.Height - ledger.Lag, 10_000} {
		if v, err := ledger.VerifyProof(w.s, &w.genesis, w.receiptProof(t, 0, height), ledger.VerifyOptions{Pin: &pin}); err == nil {
			t.Errorf("a header of epoch 0 at height %d is accepted after height %d of epoch 1: %+v", height+ledger.Lag, pin.Height, v)
		}
	}
	below := w.receiptProof(t, 0, pin.Height-ledger.Lag-1)
	if _, err := ledger.VerifyProof(w.s, &w.genesis, below, ledger.VerifyOptions{Pin: &pin}); err != nil {
		t.Errorf("an old proof of epoch 0: %v", err)
	}
	v, err = ledger.VerifyProof(w.s, &w.genesis, below, ledger.VerifyOptions{Pin: &pin, MaxAge: ledger.Hour, Now: below.Header.Wall})
	if !errors.Is(err, ledger.ErrStaleProof) || v == nil {
		t.Errorf("an old proof that calls itself fresh: %+v, %v", v, err)
	}
	// Validators of epoch 0 that rewrite history from there are found out.
	forked := pin
	forked.Validators = w.epochs[2]
	if _, err := ledger.VerifyProof(w.s, &w.genesis, later, ledger.VerifyOptions{Pin: &forked}); err == nil {
		t.Error("a history with other validators in the pinned epoch is accepted")
	}
	alien := pin
	alien.Network = suite.Hash{1}
	if _, err := ledger.VerifyProof(w.s, &w.genesis, later, ledger.VerifyOptions{Pin: &alien}); err == nil {
		t.Error("a pin of another network is accepted")
	}
}

func FuzzProof(f *testing.F) {
	w := newWorld(f, "intl", ledger.ClockReal)
	receipt, state := codec.MustMarshal(w.receiptProof(f, 1, 13)), codec.MustMarshal(w.stateProof(f, 0, 3))
	f.Add(receipt)
	f.Add(state)
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := verify(w, b, ledger.VerifyOptions{})
		if err == nil && !bytes.Equal(b, receipt) && !bytes.Equal(b, state) {
			t.Fatalf("an invented proof shows %+v", v)
		}
	})
}

// TestRootsAreNotMixedUp: what stands under one of a header's roots is not proven by another of them, and a proof of one kind is none of the other.
func TestRootsAreNotMixedUp(t *testing.T) {
	w := newWorld(t, "sm", ledger.ClockReal)
	receipt, state := w.receiptProof(t, 0, 5), w.stateProof(t, 0, 5)
	roots := func(h *ledger.Header) []*suite.Hash {
		return []*suite.Hash{&h.ReceiptsRoot, &h.StateRoot, &h.WriteRoot, &h.PayloadRoot, &h.PayloadHash, &h.Previous, &h.Proposal}
	}
	for kind, p := range map[int]*ledger.Proof{0: receipt, 1: state} {
		good := *roots(&p.Header)[kind]
		for i := range roots(&p.Header) {
			bad := *p
			*roots(&bad.Header)[kind] = suite.Hash{}
			*roots(&bad.Header)[i] = good
			bad.Certificate = w.certify(t, &bad.Header, 3)
			_, err := verify(w, codec.MustMarshal(&bad), ledger.VerifyOptions{})
			if (err == nil) != (i == kind) {
				t.Errorf("root %d in the place of root %d: %v", kind, i, err)
			}
		}
	}
	// All roots alike, and the subject of the other kind.
	for _, pair := range [][2]*ledger.Proof{{receipt, state}, {state, receipt}} {
		bad := *pair[0]
		bad.Kind, bad.Subject = pair[1].Kind, pair[1].Subject
		for _, root := range roots(&bad.Header) {
			*root = *roots(&pair[0].Header)[pair[0].Kind-1]
		}
		bad.Certificate = w.certify(t, &bad.Header, 3)
		if v, err := verify(w, codec.MustMarshal(&bad), ledger.VerifyOptions{}); err == nil {
			t.Errorf("kind %d under the root of kind %d shows %+v", bad.Kind, pair[0].Kind, v)
		}
	}
	// A header below the lag commits to nothing, not even to an absence in an empty tree.
	for height := range ledger.Height(ledger.Lag) {
		p := *w.stateProof(t, 0, 5)
		p.Header = w.header(0, height)
		p.Certificate = w.certify(t, &p.Header, 3)
		p.Subject = codec.MustMarshal(&ledger.StateSubject{Key: []byte{1}, Path: merkle.StateProof{Version: 1, End: merkle.EndEmpty}})
		if v, err := verify(w, codec.MustMarshal(&p), ledger.VerifyOptions{}); err == nil {
			t.Errorf("a header of height %d shows %+v", height, v)
		}
	}
}
