package exec_test

import (
	"crypto/ecdsa"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"

	"aval/codec"
	"aval/internal/exec"
	"aval/internal/exec/exectest"
	"aval/internal/kv"
	"aval/internal/state"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

const blockTxs = 1000

// city is a network of suite sm whose state lies in Pebble: a bank, and very many who have one key and one account each.
type city struct {
	*exectest.World
	state   *state.State
	bank    ledger.PartyID
	holders []ledger.PartyID
	keys    []suite.PublicKey
	mixer   uint64
	height  uint64 // of the state; the world's own stays where it was
}

// Get implements vm.View.
func (c *city) Get(key []byte) ([]byte, bool, error) {
	value, _, ok, err := c.state.Get(key)
	return value, ok, err
}

// newCity returns a city of n accounts, each of which is three entries of the state.
func newCity(b *testing.B, n int) *city {
	b.Helper()
	s, err := suite.ByID(suite.SM)
	if err != nil {
		b.Fatal(err)
	}
	w, err := exectest.NewWorld(s, ledger.ClockLab)
	if err != nil {
		b.Fatal(err)
	}
	c := &city{World: w, bank: w.DeclareParty("bank", "")}
	store, err := kv.OpenLog(kv.LogConfig{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	if c.state, err = state.Open(state.Config{Store: store, Suite: s}); err != nil {
		b.Fatal(err)
	}
	var first []state.Write
	for key, value := range w.State {
		first = append(first, state.Write{Key: []byte(key), Value: value})
	}
	c.commit(b, append(first, c.party(c.bank, ledger.RoleBank, ledger.Fen(n)*1_000_000)...))
	for len(c.holders) < n {
		var writes []state.Write
		for range min(10_000, n-len(c.holders)) {
			id, err := ledger.CompleteUSCC(fmt.Sprintf("91310000MB%07d", len(c.holders)))
			if err != nil {
				b.Fatal(err)
			}
			writes = append(writes, c.party(id, ledger.RoleSupplier, 1_000_000)...)
		}
		c.commit(b, writes)
	}
	return c
}

// party returns the records of one that a single maker binds: a bank that has minted amount, or a holder of it.
func (c *city) party(id ledger.PartyID, role ledger.Role, amount ledger.Fen) []state.Write {
	digest := c.Suite.Hash("test key", []byte(id))
	key := suite.PublicKey(append([]byte{2}, digest[:]...))
	p := ledger.Party{ID: id, Name: "Holder " + string(id), Scope: "/", Roles: role, Size: ledger.SizeMicro, Since: exectest.Start,
		Policies: []ledger.Policy{{Class: ledger.ClassMoney, Makers: 1}}, Members: []suite.PublicKey{key}}
	m := ledger.Member{Party: id, Key: key, Caps: ledger.CapAdmin | ledger.CapMaker, Person: digest, Issuer: key,
		NotBefore: exectest.Start, NotAfter: exectest.Start + 365*ledger.Day}
	out := []state.Write{{Key: ledger.PartyKey(id), Value: codec.MustMarshal(&p)}, {Key: ledger.MemberKey(key), Value: codec.MustMarshal(&m)}}
	if role == ledger.RoleBank {
		supply := &ledger.Supply{Bank: id, Minted: amount}
		return append(out, state.Write{Key: ledger.SupplyKey(id), Value: codec.MustMarshal(supply)})
	}
	c.holders, c.keys = append(c.holders, id), append(c.keys, key)
	account := &ledger.Account{Bank: c.bank, Holder: id, Balance: amount}
	return append(out, state.Write{Key: ledger.AccountKey(c.bank, id), Value: codec.MustMarshal(account)})
}

func (c *city) commit(b *testing.B, writes []state.Write) {
	b.Helper()
	if _, err := c.state.Apply(c.height, writes); err != nil {
		b.Fatal(err)
	}
	c.height++
}

func (c *city) draw(n int) int {
	c.mixer = c.mixer*6364136223846793005 + 1442695040888963407
	return int(c.mixer >> 33 % uint64(n))
}

// block returns transfers between random accounts, with one signature each.
func (c *city) block() []exec.Tx {
	txs := make([]exec.Tx, blockTxs)
	for i := range txs {
		from := c.draw(len(c.holders))
		to := (from + 1 + c.draw(len(c.holders)-1)) % len(c.holders)
		tx := c.NewTx(ledger.NewOp(c.holders[from], &ledger.MoneyTransfer{
			Bank: c.bank, To: c.holders[to], ToBank: c.bank, Amount: ledger.Fen(1 + c.draw(100)),
		}))
		tx.AddSignature(ledger.TxSignature{Key: c.keys[from]})
		txs[i] = exec.Tx{ID: tx.Tx.ID(c.Suite), Body: tx}
		binary.BigEndian.PutUint64(txs[i].Signed[:], c.mixer)
	}
	return txs
}

func writes(changes []vm.Change) []state.Write {
	out := make([]state.Write, len(changes))
	for i, ch := range changes {
		out[i] = state.Write{Key: ch.Key, Value: ch.New, Delete: ch.New == nil}
	}
	return out
}

// yardstick is the stock library's verification of one signature, to compare machines by. It is measured in between, because machines
// that others use too change their pace.
type yardstick struct {
	key   *ecdsa.PublicKey
	e     [32]byte
	der   []byte
	total time.Duration
	count int
}

func newYardstick(b *testing.B) *yardstick {
	b.Helper()
	s, err := suite.ByID(suite.SM)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := s.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	sig, err := signer.Sign(ledger.DomainTxSignature, []byte("message"))
	if err != nil {
		b.Fatal(err)
	}
	y := &yardstick{}
	if y.e, err = suite.SM2Digest(signer.Public(), suite.SignedBytes(s, ledger.DomainTxSignature, []byte("message"))); err != nil {
		b.Fatal(err)
	}
	private, err := sm2.NewPrivateKey(signer.Private())
	if err != nil {
		b.Fatal(err)
	}
	y.key = &private.PublicKey
	y.der, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])})
	if err != nil {
		b.Fatal(err)
	}
	return y
}

// lay takes some measurements; the benchmark's timer is stopped.
func (y *yardstick) lay(b *testing.B) {
	b.Helper()
	begin := time.Now()
	for range 50 {
		if !sm2.VerifyASN1(y.key, y.e[:], y.der) {
			b.Fatal("the stock library refuses the signature")
		}
		y.count++
	}
	y.total += time.Since(begin)
}

// report gives what a stage took per transaction, and as a share of one stock verification.
func (y *yardstick) report(b *testing.B, stage string, txs int, total time.Duration) {
	b.Helper()
	per := float64(total) / float64(b.N*txs)
	b.ReportMetric(per/1e3, stage+"-µs/tx")
	b.ReportMetric(per/float64(y.total)*float64(y.count), stage+"-verifies/tx")
}

// BenchmarkTransferBlock executes blocks of transfers by one signature between many accounts and commits them: first execution, then
// the encoding of receipts, then the commit of the state. Run it with -cpu 1 to see processor time.
func BenchmarkTransferBlock(b *testing.B) {
	for _, accounts := range []int{5_000, 100_000} {
		b.Run(fmt.Sprint(accounts), func(b *testing.B) { benchmarkTransfers(b, accounts) })
	}
}

func benchmarkTransfers(b *testing.B, accounts int) {
	b.Helper()
	c := newCity(b, accounts)
	y := newYardstick(b)
	var apply, encode, commit time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		in := &exec.Input{Header: c.Header(ledger.Second), Txs: c.block()}
		y.lay(b)
		b.StartTimer()
		begin := time.Now()
		r, err := c.Executor.Apply(c, in, c)
		if err != nil || r.Receipts[0].Code != ledger.CodeOK {
			b.Fatalf("%v, %+v", err, r)
		}
		applied := time.Now()
		for i := range r.Receipts {
			codec.MustMarshal(&r.Receipts[i])
		}
		encoded := time.Now()
		c.commit(b, writes(r.Changes))
		apply, encode, commit = apply+applied.Sub(begin), encode+encoded.Sub(applied), commit+time.Since(encoded)
	}
	y.report(b, "execute", blockTxs, apply)
	y.report(b, "receipts", blockTxs, encode)
	y.report(b, "commit", blockTxs, commit)
	y.report(b, "all", blockTxs, apply+encode+commit)
	b.ReportMetric(float64(y.total.Microseconds())/float64(y.count), "µs/verify")
	m := c.state.Metrics()
	b.ReportMetric(float64(m.CacheHits)/float64(m.CacheHits+m.CacheMisses), "hits")
}

// voucherStories returns a block in which core issues vouchers, its suppliers accept them and offer parts, and those are accepted. Each
// transaction is signed by a maker and a checker.
func voucherStories(b *testing.B, w *town) []exec.Tx {
	b.Helper()
	w.onboard(b, "core", ledger.RoleCore|ledger.RoleSupplier)
	today := w.Now().Date()
	for _, op := range []ledger.Op{
		ledger.NewOp(w.Party("east"), &ledger.AccountOpen{Holder: w.Party("core")}),
		ledger.NewOp(w.Party("east"), &ledger.LimitGrant{Core: w.Party("core"), Purpose: ledger.LimitIssue, Amount: 1 << 40, From: today, Until: today + 300}),
	} {
		if r := w.block(b, w.tx([]string{"east", "core"}, op)); r[0].Code != ledger.CodeOK {
			b.Fatal(r[0].Message)
		}
	}
	var txs []exec.Tx
	by := func(name string, body ledger.Body) suite.Hash {
		tx := w.NewTx(ledger.NewOp(w.Party(name), body))
		txs = append(txs, w.seal(tx, []suite.PublicKey{w.keys[name][0].Signer.Public(), w.keys[name][1].Signer.Public()}))
		return txs[len(txs)-1].ID
	}
	invoice := func(seller, buyer string, face ledger.Fen) suite.Hash {
		op := &ledger.EvidenceRegister{
			Scheme: ledger.InvoicePlain, Fingerprint: ledger.InvoiceFingerprint(w.Suite, w.Network, w.Party(seller), fmt.Sprint(len(txs))),
			Seller: w.Party(seller), Buyer: w.Party(buyer), Face: face, Issued: today, Contract: suite.Hash{1}, Receipt: suite.Hash{2},
		}
		op.Twin = ledger.InvoiceTwin(w.Suite, w.Network, op.Seller, op.Buyer, op.Face, op.Issued)
		by(seller, op)
		return op.Fingerprint
	}
	for n := 0; len(txs)+6 <= blockTxs; n++ {
		first, second, face := w.people[n%3], w.people[(n+1)%3], ledger.Fen(1000+n)
		sale, purchase := invoice(first, "core", face), invoice(second, first, face-500)
		issued := by("core", &ledger.VoucherIssue{
			Payee: w.Party(first), Face: face, Due: today + 30, Bank: w.Party("east"), AcceptBy: w.Now() + ledger.Day,
			Evidence: []ledger.EvidenceUse{{Invoice: sale, Amount: face}},
		})
		voucher := ledger.DerivedID(w.Suite, issued, 0, 0)
		by(first, &ledger.VoucherAccept{Voucher: voucher})
		offered := by(first, &ledger.VoucherOffer{Voucher: voucher, AcceptBy: w.Now() + ledger.Day, Parts: []ledger.OfferPart{
			{Amount: 500}, {Amount: face - 500, To: w.Party(second), Discharge: ledger.DischargeAtPayment,
				Evidence: []ledger.EvidenceUse{{Invoice: purchase, Amount: face - 500}}},
		}})
		by(second, &ledger.OfferAccept{Offer: ledger.DerivedID(w.Suite, offered, 0, 1)})
	}
	return txs
}

// BenchmarkVoucherBlock executes a block of vouchers' lives on a state in memory.
func BenchmarkVoucherBlock(b *testing.B) {
	w := newTown(b)
	txs := voucherStories(b, w)
	y := newYardstick(b)
	in := &exec.Input{Header: w.Header(ledger.Second), Txs: txs}
	var apply time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		y.lay(b)
		b.StartTimer()
		begin := time.Now()
		r, err := w.Executor.Apply(w, in, w)
		if err != nil {
			b.Fatal(err)
		}
		apply += time.Since(begin)
		for i := range r.Receipts {
			if r.Receipts[i].Code != ledger.CodeOK {
				b.Fatalf("transaction %d: %s", i, r.Receipts[i].Message)
			}
		}
	}
	y.report(b, "execute", len(txs), apply)
}
