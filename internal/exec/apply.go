package exec

import (
	"errors"
	"strings"

	"aval/internal/invariant"
	"aval/internal/native/identity"
	"aval/internal/native/money"
	"aval/internal/native/voucher"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// Executor applies blocks of one network. It holds nothing that changes: its methods are safe for concurrent use.
type Executor struct {
	suite    suite.Suite
	genesis  *ledger.Genesis
	network  suite.Hash
	handlers map[ledger.Kind]handler
}

// New returns the executor of the network that cfg.Genesis fixes.
func New(cfg Config) (*Executor, error) {
	if err := cfg.Genesis.Check(cfg.Suite); err != nil {
		return nil, err
	}
	x := &Executor{suite: cfg.Suite, genesis: cfg.Genesis, network: cfg.Genesis.NetworkID(cfg.Suite)}
	x.handlers = x.newHandlers()
	return x, nil
}

// Genesis returns the state with which a network begins, sorted by key.
func Genesis(cfg Config) ([]vm.Change, error) {
	if err := cfg.Genesis.Check(cfg.Suite); err != nil {
		return nil, err
	}
	j := vm.NewJournal(emptyView{})
	vm.Store(j, ledger.GenesisKey(), cfg.Genesis)
	vm.Store(j, ledger.ClockKey(), &ledger.ClockRecord{Offset: cfg.Genesis.Offset()})
	identity.Genesis(j, cfg.Genesis)
	return j.Changes(), j.Err()
}

// emptyView is the state before the genesis.
type emptyView struct{}

func (emptyView) Get([]byte) (value []byte, ok bool, err error) { return nil, false, nil }

// keysPerTx is about how many keys of the state a transaction touches that the others of its block do not.
const keysPerTx = 4

// Apply executes one block on view, the state after the block before. It changes nothing but what it returns; the same
// view and block give the same result. An error means that the store failed. A broken invariant panics with an
// *invariant.Violation: nothing may be committed then.
func (x *Executor) Apply(view vm.View, in *Input, w Window) (result *Result, err error) {
	j := vm.NewJournalSize(view, keysPerTx*len(in.Txs))
	defer func() {
		// What was read after the store failed is not state: do not mistake its oddities for a broken invariant.
		if j.Err() != nil {
			if p := recover(); p != nil || err == nil {
				result, err = nil, j.Err()
			}
		}
	}()
	b := &block{Executor: x, journal: j, header: in.Header, window: w, spent: make(map[suite.Hash]bool, len(in.Txs)), result: &Result{
		Receipts: make([]ledger.Receipt, 0, len(in.Txs)+1), Spent: make([]Spent, 0, len(in.Txs)),
	}}
	if err := b.boundary(); err != nil {
		return nil, err
	}
	for i := range in.Txs {
		b.apply(&in.Txs[i])
	}
	b.result.Changes = j.Changes()
	b.result.WorkLeft = workPending(j, in.Header.Time)
	if err := j.Err(); err != nil {
		return nil, err
	}
	for _, check := range []func([]vm.Change) error{money.CheckConservation, voucher.CheckConservation} {
		err := check(b.result.Changes)
		invariant.Check(err == nil, "block %d: %v", in.Header.Height, err)
	}
	return b.result, nil
}

// block is one block in execution.
type block struct {
	*Executor
	journal *vm.Journal
	header  *ledger.Header
	window  Window
	spent   map[suite.Hash]bool // by this block
	result  *Result
}

func (b *block) context(id suite.Hash, auth vm.Authorizer) vm.Context {
	return vm.Context{
		Journal: b.journal, Suite: b.suite, Network: b.network, Params: &b.genesis.Params,
		Height: b.header.Height, Time: b.header.Time, Tx: id, Auth: auth,
	}
}

// boundary does the work that time drives, before any transaction.
func (b *block) boundary() error {
	c := b.context(suite.Hash{}, identity.NewAuthorizer(b.journal, b.header.Time, nil))
	left, err := voucher.SettleDue(&c)
	if err != nil {
		return err
	}
	if !left {
		advance(&c, b.header)
	}
	if events := b.journal.TakeEvents(); len(events) > 0 {
		b.result.Receipts = append(b.result.Receipts, ledger.Receipt{
			Height: b.header.Height, Boundary: true, FailedOp: -1, Final: true, Events: events, Time: b.header.Time,
		})
	}
	return nil
}

// apply executes one transaction and writes its receipt.
func (b *block) apply(t *Tx) {
	receipt := ledger.Receipt{
		Height: b.header.Height, Index: uint32(len(b.result.Receipts)), Tx: t.ID, Signed: t.Signed, FailedOp: -1, Time: b.header.Time,
	}
	b.journal.Settle()
	mark := b.journal.Mark()
	failedOp, err := b.attempt(t)
	if err != nil {
		b.journal.Revert(mark)
		f := asFailure(err)
		receipt.Code, receipt.Message, receipt.FailedOp = f.Code, clip(f.Message), int32(failedOp)
	}
	receipt.Events = b.journal.TakeEvents()
	if receipt.Final = receipt.Code.Spends(); receipt.Final {
		b.spent[t.ID] = true
		b.result.Spent = append(b.result.Spent, Spent{ID: t.ID, ValidUntil: t.Body.Tx.ValidUntil, Receipt: receipt.Index})
	}
	b.result.Receipts = append(b.result.Receipts, receipt)
}

// attempt does all of a transaction; on failure the caller takes back what it did. It returns the operation that failed,
// or −1 if the transaction as a whole did.
func (b *block) attempt(t *Tx) (failedOp int, err error) {
	tx := &t.Body.Tx
	switch {
	case tx.Network != b.network:
		return -1, ledger.Failf(ledger.CodeNetwork, "the transaction is for network %s, this is %s", tx.Network, b.network)
	case tx.ValidUntil < b.header.Wall:
		return -1, ledger.Failf(ledger.CodeExpired, "the transaction was valid until %s; the block's wall time is %s",
			tx.ValidUntil, b.header.Wall)
	case tx.ValidUntil-b.header.Wall > ledger.TxWindowMax:
		return -1, ledger.Failf(ledger.CodeExpired, "valid_until %s is more than %d min after the block's wall time %s",
			tx.ValidUntil, ledger.TxWindowMax/ledger.Minute, b.header.Wall)
	case b.spent[t.ID] || b.window.Spent(t.ID):
		return -1, ledger.Failf(ledger.CodeReplay, "transaction %s has its receipt already", t.ID)
	}
	if target := clockTarget(b.journal); target != 0 {
		return -1, ledger.Failf(ledger.CodeClockAdvance, "the clock is being advanced to %s; submit again when it is there", target)
	}
	keys := make([]suite.PublicKey, len(t.Body.Sigs))
	for i := range t.Body.Sigs {
		keys[i] = t.Body.Sigs[i].Key
	}
	c := b.context(t.ID, identity.NewAuthorizer(b.journal, b.header.Time, keys))
	if failedOp, err = b.run(&c, tx.Ops); err != nil {
		return failedOp, err
	}
	if n := b.journal.EventCount(); n > ledger.ReceiptEventsMax {
		return -1, ledger.Failf(ledger.CodeLimitExceeded, "the transaction makes %d events, the most is %d", n, ledger.ReceiptEventsMax)
	}
	return -1, nil
}

// run does ops in order in the context base. If one fails it takes all back and returns its index. A failure for want of a
// signature goes before any other, so that an id is spent only when everybody has agreed to all.
func (x *Executor) run(base *vm.Context, ops []ledger.Op) (failedOp int, err error) {
	mark := base.Mark()
	for i := range ops {
		c := *base
		c.Op = i
		if err := x.do(&c, &ops[i]); err != nil {
			base.Revert(mark)
			if asFailure(err).Code.Spends() {
				for k := range ops {
					if missing := x.unagreed(base, &ops[k]); missing != nil {
						return k, missing
					}
				}
			}
			return i, err
		}
	}
	return -1, nil
}

// do authorizes and executes one operation.
func (x *Executor) do(c *vm.Context, op *ledger.Op) error {
	body, err := op.Decode()
	if err != nil {
		return ledger.Failf(ledger.CodeEncoding, "%v", err)
	}
	if err := x.authorize(c.Auth, op); err != nil {
		return err
	}
	c.Acting = op.Party
	return x.handlers[op.Kind](c, body)
}

// authorize fails unless the acting party's policy for the kind of operation is met.
func (x *Executor) authorize(auth vm.Authorizer, op *ledger.Op) error {
	info, _ := op.Kind.Info()
	switch info.Class {
	case ledger.ClassSystem:
		return x.authorizeClock(auth, op)
	case ledger.ClassPropose:
		_, err := auth.RequireAny(op.Party)
		return err
	default:
		return auth.Require(op.Party, info.Class)
	}
}

// asFailure returns what handlers fail with; anything else is an error of this program.
func asFailure(err error) *ledger.Failure {
	var f *ledger.Failure
	invariant.Check(errors.As(err, &f), "an operation failed without a code: %v", err)
	return f
}

// clip bounds a receipt's message.
func clip(message string) string {
	return strings.ToValidUTF8(message[:min(len(message), ledger.TextBytesMax)], "")
}
