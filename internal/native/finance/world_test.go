package finance_test

import (
	"encoding/binary"
	"errors"
	"fmt"

	"aval/codec"
	"aval/internal/native/credit"
	"aval/internal/native/evidence"
	"aval/internal/native/finance"
	"aval/internal/native/money"
	"aval/internal/native/voucher"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// world is a state in memory on which operations run one a block, with everybody's consent.
type world struct {
	suite  suite.Suite
	params ledger.Params
	state  map[string][]byte
	now    ledger.Time
	height ledger.Height
	txs    uint64
	// commits counts the blocks that have changed or could have changed the state.
	commits int
}

// consent is an Authorizer whose every policy is met.
type consent struct{}

func (consent) Require(ledger.PartyID, ledger.Class) error           { return nil }
func (consent) RequireAny(ledger.PartyID) ([]suite.PublicKey, error) { return nil, nil }
func (consent) HasKey(suite.PublicKey) bool                          { return true }
func (w *world) Get(key []byte) (value []byte, ok bool, err error) {
	v, ok := w.state[string(key)]
	return v, ok, nil
}
func (w *world) journal() *vm.Journal { return vm.NewJournal(w) }

func (w *world) context(j *vm.Journal, acting ledger.PartyID) *vm.Context {
	w.txs++
	var tx suite.Hash
	binary.BigEndian.PutUint64(tx[:], w.txs)
	return &vm.Context{Journal: j, Suite: w.suite, Params: &w.params, Height: w.height, Time: w.now, Tx: tx, Acting: acting, Auth: consent{}}
}

// commit checks what j changed and makes it the state.
func (w *world) commit(j *vm.Journal) error {
	w.commits++
	changes := j.Changes()
	if err := errors.Join(j.Err(), voucher.CheckConservation(changes), money.CheckConservation(changes)); err != nil {
		return err
	}
	for _, c := range changes {
		if c.New == nil {
			delete(w.state, string(c.Key))
		} else {
			w.state[string(c.Key)] = c.New
		}
	}
	return nil
}

// do runs one operation and returns the id of the first thing that it makes. A refusal changes nothing.
func (w *world) do(acting ledger.PartyID, body ledger.Body) (id suite.Hash, refused *ledger.Failure, err error) {
	j := w.journal()
	c := w.context(j, acting)
	if err := run(c, body); err != nil {
		if !errors.As(err, &refused) {
			return id, nil, fmt.Errorf("an error without a code: %w", err)
		}
		return id, refused, nil
	}
	return c.NewID(0), nil, w.commit(j)
}

func run(c *vm.Context, body ledger.Body) error {
	switch op := body.(type) {
	case *ledger.LimitGrant:
		return credit.LimitGrant(c, op)
	case *ledger.EvidenceRegister:
		return evidence.EvidenceRegister(c, op)
	case *ledger.VoucherIssue:
		return voucher.VoucherIssue(c, op)
	case *ledger.VoucherAccept:
		return voucher.VoucherAccept(c, op)
	case *ledger.VoucherReject:
		return voucher.VoucherReject(c, op)
	case *ledger.VoucherExpire:
		return voucher.VoucherExpire(c, op)
	case *ledger.VoucherCancel:
		return voucher.VoucherCancel(c, op)
	case *ledger.VoucherOffer:
		return voucher.VoucherOffer(c, op)
	case *ledger.OfferAccept:
		return voucher.OfferAccept(c, op)
	case *ledger.OfferReject:
		return voucher.OfferReject(c, op)
	case *ledger.OfferExpire:
		return voucher.OfferExpire(c, op)
	case *ledger.OfferWithdraw:
		return voucher.OfferWithdraw(c, op)
	case *ledger.PledgeCreate:
		return voucher.PledgeCreate(c, op)
	case *ledger.PledgeRecord:
		return voucher.PledgeRecord(c, op)
	case *ledger.PledgeRelease:
		return voucher.PledgeRelease(c, op)
	case *ledger.LotFreeze:
		return voucher.LotFreeze(c, op)
	case *ledger.LotUnfreeze:
		return voucher.LotUnfreeze(c, op)
	case *ledger.VoucherFund:
		return voucher.VoucherFund(c, op)
	case *ledger.DayFund:
		return voucher.DayFund(c, op)
	case *ledger.FinanceRequest:
		return finance.FinanceRequest(c, op)
	case *ledger.FinanceWithdraw:
		return finance.FinanceWithdraw(c, op)
	case *ledger.FinanceQuote:
		return finance.FinanceQuote(c, op)
	case *ledger.FinanceAccept:
		return finance.FinanceAccept(c, op)
	case *ledger.FinanceApprove:
		return finance.FinanceApprove(c, op)
	case *ledger.FinanceRegister:
		return finance.FinanceRegister(c, op)
	case *ledger.FinanceDisburse:
		return finance.FinanceDisburse(c, op)
	case *ledger.FinanceExpire:
		return finance.FinanceExpire(c, op)
	}
	return fmt.Errorf("no handler for %T", body)
}

// pass lets time pass and does due-date work block by block until none is left. It returns the events.
func (w *world) pass(d ledger.Time) ([]ledger.Event, error) {
	w.now += d
	var events []ledger.Event
	for {
		w.height++
		j := w.journal()
		left, err := voucher.SettleDue(w.context(j, ""))
		if err != nil {
			return nil, err
		}
		events = append(events, j.TakeEvents()...)
		if err := w.commit(j); err != nil || !left {
			return events, err
		}
	}
}

func load[T any](w *world, key []byte) T {
	record, _ := vm.Load[T](w.journal(), key)
	return record
}

// each calls f with every record of one table.
func each[T any](w *world, table ledger.Table, f func(T) error) error {
	for key, value := range w.state {
		if ledger.TableOf([]byte(key)) != table {
			continue
		}
		var record T
		if err := codec.Unmarshal(value, &record); err != nil {
			return err
		}
		if err := f(record); err != nil {
			return err
		}
	}
	return nil
}

// lots returns the chain of a voucher's lots.
func (w *world) lots(id suite.Hash) []ledger.Lot {
	var out []ledger.Lot
	j := w.journal()
	for at := ledger.Fen(0); ; {
		l, ok := vm.Load[ledger.Lot](j, ledger.LotKey(id, at))
		if !ok {
			return out
		}
		out = append(out, l)
		at = l.To
	}
}

// audit recomputes from the whole state every sum that the records keep.
func (w *world) audit() error {
	if err := voucher.AuditIssuer(w.journal(), core); err != nil {
		return err
	}
	reserved, used := map[suite.Hash]ledger.Fen{}, map[suite.Hash]ledger.Fen{}
	waiting, limited, set := map[ledger.PartyID]uint64{}, map[ledger.PartyID]ledger.Fen{}, ledger.Fen(0)
	draw := func(m map[suite.Hash]ledger.Fen, uses []ledger.EvidenceUse) {
		for _, u := range uses {
			m[u.Invoice] += u.Amount
		}
	}
	listed := func(p ledger.PartyID, slot uint64, kind ledger.WaitingKind, id suite.Hash) error {
		waiting[p]++
		if string(vm.Item(w.journal(), ledger.Incoming(p), slot)) != string(codec.MustMarshal(&ledger.Waiting{Kind: kind, ID: id})) {
			return fmt.Errorf("what waits for %s at %d is not %s", p, slot, id)
		}
		return nil
	}
	err := errors.Join(
		each(w, ledger.TableVoucher, func(v ledger.Voucher) error {
			set += v.Funded
			if v.Status != ledger.VoucherOffered {
				return nil
			}
			draw(reserved, v.Evidence)
			return listed(v.Payee, v.Waiting, ledger.WaitingVoucher, v.ID)
		}),
		each(w, ledger.TableOffer, func(o ledger.Offer) error {
			if o.Status != ledger.OfferOpen {
				return nil
			}
			draw(reserved, o.Evidence)
			return listed(o.Transferee, o.Slot, ledger.WaitingOffer, o.ID)
		}),
		each(w, ledger.TableTransfer, func(t ledger.Transfer) error {
			if load[ledger.Voucher](w, ledger.VoucherKey(t.Voucher)).Status != ledger.VoucherCancelled {
				draw(used, t.Evidence)
			}
			return nil
		}),
		each(w, ledger.TableRequest, func(r ledger.Request) error {
			if r.Status > ledger.RequestRegistered {
				return nil
			}
			if r.Limited {
				limited[r.Chosen] += r.To - r.From
			}
			for i, f := range r.Funders {
				if err := listed(f, r.Slots[i], ledger.WaitingRequest, r.ID); err != nil {
					return err
				}
			}
			return nil
		}),
		each(w, ledger.TableLot, func(l ledger.Lot) error {
			if l.Limited {
				limited[l.Holder] += l.Amount()
			}
			return nil
		}),
		each(w, ledger.TableDayPool, func(p ledger.DayPool) error { set += p.Funds; return nil }),
		each(w, ledger.TableHold, func(h ledger.Hold) error {
			if h.Owner == core {
				set += h.Amount
			}
			return nil
		}),
	)
	if err != nil {
		return err
	}
	for _, p := range everybody {
		if n := vm.Count(w.journal(), ledger.Incoming(p)); n != waiting[p] {
			return fmt.Errorf("%d wait for %s, its list has %d", waiting[p], p, n)
		}
	}
	if have := load[ledger.Limit](w, ledger.LimitKey(fac, core, ledger.LimitFinance)).Used; have != limited[fac] {
		return fmt.Errorf("the factor's limit has used %d, lots and requests %d", have, limited[fac])
	}
	if held := load[ledger.Account](w, ledger.AccountKey(dj, core)).Held; held != set {
		return fmt.Errorf("the issuer has %d held; vouchers, pools and holds say %d", held, set)
	}
	return each(w, ledger.TableInvoice, func(inv ledger.Invoice) error {
		if inv.Reserved != reserved[inv.Fingerprint] || inv.Used != used[inv.Fingerprint] {
			return fmt.Errorf("invoice %s: %d reserved, %d used; promises say %d and %d", inv.Fingerprint, inv.Reserved, inv.Used,
				reserved[inv.Fingerprint], used[inv.Fingerprint])
		}
		return nil
	})
}
