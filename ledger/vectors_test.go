package ledger_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// rewrite regenerates the vector file: go test ./ledger -run TestVectorsAreCurrent -rewrite.
var rewrite = flag.Bool("rewrite", false, "rewrite the files under testdata/vectors")

const vectorPath = "../testdata/vectors/ledger.json"

// vectors is the file. Byte strings are hexadecimal, 64-bit integers are decimal strings.
type vectors struct {
	Description []string      `json:"description"`
	LegalIDs    []textVector  `json:"legal_ids"`
	Scopes      []textVector  `json:"scopes"`
	Amounts     []textVector  `json:"amounts"`
	Dates       []textVector  `json:"dates"`
	Invoices    []textVector  `json:"invoices"`
	StateKeys   []namedVector `json:"state_keys"`
	Kinds       []kindVector  `json:"kinds"`
	Suites      []suiteVector `json:"suites"`
}

type textVector struct {
	Text  string `json:"text"`
	Valid bool   `json:"valid"`
	// Value is the amount in fen, the day number, or the canonical invoice number.
	Value string `json:"value,omitempty"`
}

type namedVector struct {
	Name string `json:"name"`
	Hex  string `json:"hex"`
}

type kindVector struct {
	Kind  uint16 `json:"kind"`
	Name  string `json:"name"`
	Class string `json:"class"`
}

type suiteVector struct {
	Suite   string `json:"suite"`
	Genesis string `json:"genesis"`
	Network string `json:"network"`
	// Hashes are ids and commitments of the inputs that their names and the description give.
	Hashes       []namedVector  `json:"hashes"`
	Credentials  []judgedVector `json:"credentials"`
	Transactions []judgedVector `json:"transactions"`
	Certificates []judgedVector `json:"certificates"`
	// BatchCertificates are judged by the genesis's validators and verify_quorum.
	BatchCertificates []judgedVector `json:"batch_certificates"`
}

// judgedVector is something that a verifier takes or refuses.
type judgedVector struct {
	Name  string `json:"name"`
	Hex   string `json:"hex"`
	Valid bool   `json:"valid"`
	// Code is the number of the refusal of a transaction.
	Code uint16 `json:"code,omitempty"`
	// ID is the id of a valid transaction, the hash of a certified header, or the digest of a certified batch.
	ID string `json:"id,omitempty"`
	// Header is what a certificate certifies.
	Header string `json:"header,omitempty"`
}

var vectorDescription = []string{
	"legal_ids: unified social credit codes (GB 32100-2015) and LEIs (ISO 17442), valid by form and check digits or not.",
	"scopes, amounts (value: fen), dates (value: days since 1970-01-01 at UTC+8): text that is read, or must be refused.",
	"invoices: numbers and what they fold into. state_keys: raw keys of records; kinds: every operation.",
	"suites.genesis is an encoded Genesis and network its hash. hashes:",
	"  derived i n: the n-th id made by operation i of the transaction whose id is 32 bytes 01;",
	"  person: commitment of person \"Li\" in party 91310000775785552L under the secret \"secret\" (ASCII);",
	"  invoice, twin: of seller 91310000775785552L, buyer 91350100M000100Y43, number \"INV-1O\", 4,520,000.00, 2026-09-01;",
	"  batch: digest of a batch by validator 0, epoch 2, wall 5000, with the two transactions 01 and 0203, not guarded;",
	"  proposal: of the metadata 0a0b and sequence 3; validators: of the genesis's set.",
	"credentials: encoded, valid if signed by the issuer they name. transactions: encoded SignedTx as submitted to the",
	"network; a valid one has id, another is refused before execution with code. certificates: encoded, of header, under the",
	"genesis's validators. batch_certificates: encoded, under the genesis's validators and its verify_quorum of 2, in epoch 0;",
	"a valid one has the digest of its batch as id.",
}

// judgeText fills in what this implementation makes of each text.
func judgeText(texts []string, read func(string) (string, error)) []textVector {
	out := make([]textVector, len(texts))
	for i, s := range texts {
		value, err := read(s)
		out[i] = textVector{Text: s, Valid: err == nil, Value: value}
	}
	return out
}

func textVectors() (v vectors) {
	v.LegalIDs = judgeText([]string{
		"91350100M000100Y43", "91310000775785552L", "5493001KJTIIGC8Y1R12", "529900T8BM49AURSDO55", "91350100M000100Y44",
		"91350100M000100YI3", "9135010M0000100Y43", "5493001KJTIIGC8Y1R13", "5493001kjtiigc8y1r12", "5493001KJTIIGC8Y1R1", "", "0",
	}, func(s string) (string, error) { return "", ledger.PartyID(s).Check() })
	v.Scopes = judgeText([]string{"/", "/auto", "/auto/huachen", "/a-1", "", "auto", "/auto/", "//", "/Auto", "/a.b", "/1/2/3/4/5/6/7/8/9"},
		func(s string) (string, error) { return "", ledger.Scope(s).Check() })
	v.Amounts = judgeText([]string{
		"0", "0.01", "1.5", "12,000,000.00", "10,000,000,000,000.00", "10,000,000,000,000.01", "1,00", "1.", ".5", "-1", "1.234", "",
	}, func(s string) (string, error) {
		a, err := ledger.ParseYuan(s)
		if err != nil {
			return "", err
		}
		return strconv.FormatUint(uint64(a), 10), nil
	})
	v.Dates = judgeText([]string{
		"1970-01-01", "1969-12-31", "2026-09-15", "2024-02-29", "2000-02-29", "9999-12-31", "2026-02-29", "1900-02-29", "2026-13-01", "2026-1-1",
	}, func(s string) (string, error) {
		d, err := ledger.ParseDate(s)
		if err != nil {
			return "", err
		}
		return strconv.Itoa(int(d)), nil
	})
	v.Invoices = judgeText([]string{"INV-2026-0007", "inv 2O26/ooo7", "ＩＮＶ２０２６０００７", "发票 No. 12"},
		func(s string) (string, error) { return ledger.CanonicalInvoiceNumber(s), nil })
	return v
}

func stateKeyVectors() []namedVector {
	id, bank, hash := ledger.PartyID("91310000775785552L"), ledger.PartyID("5493001KJTIIGC8Y1R12"), suite.Hash(bytes.Repeat([]byte{1}, 32))
	key := func(name string, b []byte) namedVector { return namedVector{name, hex.EncodeToString(b)} }
	return []namedVector{
		key("party 91310000775785552L", ledger.PartyKey(id)),
		key("member with the key 020304", ledger.MemberKey(suite.PublicKey{2, 3, 4})),
		key("scope /auto", ledger.ScopeKey("/auto")),
		key("account of 91310000775785552L with 5493001KJTIIGC8Y1R12", ledger.AccountKey(bank, id)),
		key("voucher 0101…01", ledger.VoucherKey(hash)), key("lot of it that begins at 258 fen", ledger.LotKey(hash, 258)),
		key("ladder of 91310000775785552L on 2027-01-13", ledger.LadderKey(id, ledger.CivilDate(2027, 1, 13))),
		key("head of the list of its lots", ledger.ListHeadKey(ledger.LotsOf(id))),
		key("page 2 of the list of its lots", ledger.ListPageKey(ledger.LotsOf(id), 2)),
		key("clock", ledger.ClockKey()), key("genesis", ledger.GenesisKey()),
	}
}

// judgeTx does what a node does with bytes that somebody submits.
func judgeTx(w *world, b []byte) (*ledger.SignedTx, error) {
	tx, err := ledger.DecodeSignedTx(b)
	if err != nil {
		return nil, err
	}
	if err := tx.CheckForm(w.genesis.NetworkID(w.s)); err != nil {
		return nil, err
	}
	return tx, tx.VerifySignatures(w.s)
}

func txVectors(t *testing.T, w *world) []judgedVector {
	good := codec.MustMarshal(w.signedTx(t))
	resigned := func(change func(tx *ledger.SignedTx)) []byte {
		tx := w.signedTx(t)
		tx.Sigs = nil
		change(tx)
		if err := tx.Sign(w.s, w.signers[string(w.epochs[0][0].Key)]); err != nil {
			t.Fatal(err)
		}
		return codec.MustMarshal(tx)
	}
	changed := func(change func(tx *ledger.SignedTx)) []byte {
		tx := w.signedTx(t)
		change(tx)
		return codec.MustMarshal(tx)
	}
	under := func(domain suite.Domain) []byte {
		return changed(func(tx *ledger.SignedTx) {
			id := tx.Tx.ID(w.s)
			sig, err := w.signers[string(tx.Sigs[0].Key)].Sign(domain, id[:])
			if err != nil {
				t.Fatal(err)
			}
			tx.Sigs[0].Sig = sig
		})
	}
	out := []judgedVector{
		{Name: "by three keys", Hex: hex.EncodeToString(good)},
		{Name: "by one key", Hex: hex.EncodeToString(resigned(func(*ledger.SignedTx) {}))},
	}
	for _, bad := range []struct {
		name  string
		bytes []byte
	}{
		{"a byte too many", append(slices.Clone(good), 0)}, {"a byte too few", good[:len(good)-1]}, {"zeros", make([]byte, 64)},
		{"for another network", resigned(func(tx *ledger.SignedTx) { tx.Tx.Network[0] ^= 1 })},
		{"of another version", resigned(func(tx *ledger.SignedTx) { tx.Tx.Version = 2 })},
		{"without operations", resigned(func(tx *ledger.SignedTx) { tx.Tx.Ops = nil })},
		{"with 33 operations", resigned(func(tx *ledger.SignedTx) { tx.Tx.Ops = slices.Repeat(tx.Tx.Ops[1:2], 33) })},
		{"with an operation that does not exist", resigned(func(tx *ledger.SignedTx) { tx.Tx.Ops[0].Kind = 9999 })},
		{"with a body of another operation", resigned(func(tx *ledger.SignedTx) { tx.Tx.Ops[0].Kind = ledger.KindMoneyHold })},
		{"with a body that lacks its fields", resigned(func(tx *ledger.SignedTx) { tx.Tx.Ops[0].Body = []byte{0xa0} })},
		{"without signatures", changed(func(tx *ledger.SignedTx) { tx.Sigs = nil })},
		{"signatures not sorted", changed(func(tx *ledger.SignedTx) { slices.Reverse(tx.Sigs) })},
		{"one key twice", changed(func(tx *ledger.SignedTx) { tx.Sigs[1] = tx.Sigs[0] })},
		{"a wrong signature", changed(func(tx *ledger.SignedTx) { tx.Sigs[0].Sig[1] ^= 1 })},
		{"signed under the domain of votes", under(ledger.DomainVote)},
		{"signed under the domain of ids", under(ledger.DomainTx)},
		{"changed after signing", changed(func(tx *ledger.SignedTx) { tx.Tx.ValidUntil++ })},
	} {
		out = append(out, judgedVector{Name: bad.name, Hex: hex.EncodeToString(bad.bytes)})
	}
	return out
}

func certificateVectors(t *testing.T, w *world) []judgedVector {
	h := w.header(0, 5)
	full := w.certify(t, &h, 4)
	later := h
	later.Epoch = 1
	of := func(name string, h *ledger.Header, votes ...ledger.Vote) judgedVector {
		return judgedVector{
			Name: name, Header: hex.EncodeToString(codec.MustMarshal(h)),
			Hex: hex.EncodeToString(codec.MustMarshal(&ledger.Certificate{Votes: votes})),
		}
	}
	v := full.Votes
	return []judgedVector{
		of("three of four", &h, v[:3]...), of("another three", &h, v[0], v[2], v[3]), of("all", &h, v...), of("two", &h, v[:2]...),
		of("one twice", &h, v[0], v[1], v[1]), of("not sorted", &h, v[1], v[0], v[2]),
		of("a false one beside a quorum", &h, v[0], v[1], v[2], ledger.Vote{Validator: 3, Sig: v[0].Sig}),
		of("of another epoch", &later, v[:3]...),
	}
}

func batchCertificateVectors(t *testing.T, w *world) []judgedVector {
	var out []judgedVector
	for _, c := range w.batchCertificates(t) {
		if len(c.bytes) <= ledger.BatchCertificateBytesMax { // what is too long says nothing and takes room
			out = append(out, judgedVector{Name: c.name, Hex: hex.EncodeToString(c.bytes)})
		}
	}
	return out
}

func credentialVectors(t *testing.T, w *world) []judgedVector {
	c, err := ledger.SignCredential(w.signers[string(w.epochs[0][0].Key)], ledger.Credential{
		Network: w.genesis.NetworkID(w.s), Party: "91310000775785552L", Key: w.epochs[0][1].Key, Person: suite.Hash{7}, NotAfter: 60_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	out := []judgedVector{{Name: "signed", Hex: hex.EncodeToString(codec.MustMarshal(&c))}}
	for _, change := range []struct {
		name string
		fn   func(c *ledger.Credential)
	}{
		{"for another party", func(c *ledger.Credential) { c.Party = "91350100M000100Y43" }},
		{"for another key", func(c *ledger.Credential) { c.Key = w.epochs[0][2].Key }},
		{"of another person", func(c *ledger.Credential) { c.Person[0] ^= 1 }},
		{"of another network", func(c *ledger.Credential) { c.Network[0] ^= 1 }},
		{"with a later end", func(c *ledger.Credential) { c.NotAfter++ }},
		{"under another issuer's name", func(c *ledger.Credential) { c.Issuer = w.epochs[0][2].Key }},
		{"forged", func(c *ledger.Credential) { c.Sig[7] ^= 1 }},
		{"with an empty signature", func(c *ledger.Credential) { c.Sig = suite.Signature{} }},
		{"with a signature of zeros", func(c *ledger.Credential) { c.Sig = make(suite.Signature, len(c.Sig)) }},
		{"signed as a vote", func(c *ledger.Credential) {
			sig, err := w.signers[string(w.epochs[0][0].Key)].Sign(ledger.DomainVote, []byte(c.Person.String()))
			if err != nil {
				t.Fatal(err)
			}
			c.Sig = sig
		}},
	} {
		changed := c
		changed.Sig = bytes.Clone(c.Sig)
		change.fn(&changed)
		out = append(out, judgedVector{Name: change.name, Hex: hex.EncodeToString(codec.MustMarshal(&changed))})
	}
	return out
}

func suiteVectors(t *testing.T, s suite.Suite) suiteVector {
	w := newWorld(t, s.Name(), ledger.ClockLab)
	network := w.genesis.NetworkID(s)
	v := suiteVector{
		Suite: s.Name(), Genesis: hex.EncodeToString(codec.MustMarshal(&w.genesis)), Network: network.String(),
		Transactions: txVectors(t, w), Certificates: certificateVectors(t, w), Credentials: credentialVectors(t, w),
		BatchCertificates: batchCertificateVectors(t, w),
	}
	hash := func(name string, h suite.Hash) { v.Hashes = append(v.Hashes, namedVector{name, h.String()}) }
	ones := suite.Hash(bytes.Repeat([]byte{1}, 32))
	for _, at := range [][2]int{{0, 0}, {0, 1}, {1, 0}, {31, 300}} {
		hash(fmt.Sprintf("derived %d %d", at[0], at[1]), ledger.DerivedID(s, ones, at[0], at[1]))
	}
	seller, buyer := ledger.PartyID("91310000775785552L"), ledger.PartyID("91350100M000100Y43")
	hash("person", ledger.PersonCommitment(s, []byte("secret"), "Li", seller))
	hash("invoice", ledger.InvoiceFingerprint(s, network, seller, "INV-1O"))
	hash("twin", ledger.InvoiceTwin(s, network, seller, buyer, 452_000_000, ledger.CivilDate(2026, 9, 1)))
	batch := ledger.Batch{Origin: w.epochs[0][0].Key, Epoch: 2, Wall: 5000, Txs: [][]byte{{1}, {2, 3}}}
	hash("batch", digestOf(s, &batch))
	hash("proposal", ledger.ProposalHash(s, []byte{10, 11}, 3))
	hash("validators", w.genesis.Validators.Hash(s))
	v.judge(t, w)
	return v
}

// judge fills in what this implementation makes of the cases. What it should make of them TestVectorsAreCurrent fixes by
// the file, and refusals are counted there.
func (v *suiteVector) judge(t *testing.T, w *world) {
	for i := range v.Transactions {
		c := &v.Transactions[i]
		tx, err := judgeTx(w, unhex(t, c.Hex))
		c.Valid, c.Code, c.ID = err == nil, uint16(codeOf(err)), ""
		if err == nil {
			c.ID = tx.Tx.ID(w.s).String()
		}
	}
	for i := range v.Certificates {
		c := &v.Certificates[i]
		var h ledger.Header
		var votes ledger.Certificate
		for b, into := range map[string]any{c.Header: &h, c.Hex: &votes} {
			if err := codec.Unmarshal(unhex(t, b), into); err != nil {
				t.Fatal(err)
			}
		}
		c.Valid, c.ID = ledger.VerifyCertificate(w.s, w.genesis.Validators, &h, &votes) == nil, h.Hash(w.s).String()
	}
	for i := range v.BatchCertificates {
		c := &v.BatchCertificates[i]
		certificate, err := judgeBatchCertificate(w, unhex(t, c.Hex))
		if c.Valid = err == nil; c.Valid {
			c.ID = certificate.Head.Digest(w.s).String()
		}
	}
	for i := range v.Credentials {
		var c ledger.Credential
		if err := codec.Unmarshal(unhex(t, v.Credentials[i].Hex), &c); err != nil {
			t.Fatal(err)
		}
		v.Credentials[i].Valid = c.Verify(w.s)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectorsAreCurrent compares the file with what this implementation makes, or writes it with -rewrite.
func TestVectorsAreCurrent(t *testing.T) {
	v := textVectors()
	v.Description, v.StateKeys = vectorDescription, stateKeyVectors()
	for _, info := range ledger.Kinds() {
		v.Kinds = append(v.Kinds, kindVector{uint16(info.Kind), info.Name, info.Class.String()})
	}
	for _, s := range suite.All() {
		v.Suites = append(v.Suites, suiteVectors(t, s))
	}
	for _, s := range v.Suites {
		for what, cases := range map[string][]judgedVector{"transactions": s.Transactions[2:], "certificates": s.Certificates[3:], "credentials": s.Credentials[1:],
			"batch certificates": s.BatchCertificates[5:]} {
			for _, c := range cases {
				if c.Valid {
					t.Errorf("%s, %s: %s must be refused", s.Suite, what, c.Name)
				}
			}
		}
		if !s.Transactions[0].Valid || !s.Transactions[1].Valid || !s.Certificates[0].Valid || !s.Credentials[0].Valid ||
			slices.ContainsFunc(s.BatchCertificates[:5], func(c judgedVector) bool { return !c.Valid }) {
			t.Errorf("%s: what is right is refused", s.Suite)
		}
	}
	want, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *rewrite {
		if err := os.WriteFile(vectorPath, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s is out of date: run go test ./ledger -run TestVectorsAreCurrent -rewrite and read the diff", vectorPath)
	}
}
