package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"aval/api"
	"aval/client"
	"aval/codec"
	"aval/internal/genesis"
	"aval/ledger"
	"aval/suite"
)

// setup submits what must stand on the ledger before the load, through the public interface.
type setup struct {
	net     *genesis.Network
	suite   suite.Suite
	id      suite.Hash
	clients []*client.Client // one per validator
	out     *progress
	// done counts receipts.
	done atomic.Int64
}

// setupBulkBytes closes one bulk submission of the setup.
const setupBulkBytes = api.BatchBytesMax / 2

// setupPatience is for how long what was not answered is submitted again, less than it may be included.
const setupPatience = 8 * time.Minute

// setupTxs is how many transactions of the setup go into one bulk submission at most.
const setupTxs = 16

// submit makes transactions 0 to count−1 on all processors and submits them in bulk, in no order. All must take effect.
func (s *setup) submit(ctx context.Context, what string, count int, build func(i int) (*ledger.SignedTx, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next, done atomic.Int64
	workers := 2 * runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() {
			b := bulk{setup: s, via: s.clients[k%len(s.clients)]}
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				full, err := b.add(i, count, build)
				if err == nil && full {
					var n int
					n, err = b.flush(ctx)
					s.out.show("%s: %d of %d", what, done.Add(int64(n)), count)
				}
				if err != nil {
					errs[k] = fmt.Errorf("%s: %w", what, err)
					cancel()
					return
				}
				if i >= count {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return ctx.Err()
}

// bulk collects transactions for one submission.
type bulk struct {
	setup *setup
	via   *client.Client
	txs   [][]byte
	bytes int
}

// add makes transaction i, if there is one, and reports whether it is time to submit.
func (b *bulk) add(i, count int, build func(i int) (*ledger.SignedTx, error)) (full bool, err error) {
	if i >= count {
		return len(b.txs) > 0, nil
	}
	tx, err := build(i)
	if err != nil {
		return false, err
	}
	raw, err := codec.Marshal(tx)
	if err != nil {
		return false, err
	}
	b.txs = append(b.txs, raw)
	b.bytes += len(raw)
	return len(b.txs) == setupTxs || b.bytes > setupBulkBytes, nil
}

// flush submits what was collected and waits until all of it is committed.
func (b *bulk) flush(ctx context.Context) (int, error) {
	left, deadline := b.txs, time.Now().Add(setupPatience)
	count := len(left)
	b.txs, b.bytes = nil, 0
	for len(left) > 0 {
		answers, err := b.via.SubmitBatch(ctx, left, api.WaitCommitted)
		if err != nil && (ctx.Err() != nil || time.Now().After(deadline)) {
			return 0, err
		}
		if err != nil { // no answer in time; submitting the same bytes again is safe
			continue
		}
		var again [][]byte
		for i := range answers {
			a := &answers[i]
			switch {
			case a.Stage == api.StagePending || a.Code == ledger.CodeBusy:
				again = append(again, left[i])
			case a.Code != ledger.CodeOK:
				return 0, ledger.Failf(a.Code, "%s", a.Message)
			default:
				b.setup.done.Add(1)
			}
		}
		if left = again; len(left) > 0 {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
	}
	return count, nil
}

// tx makes a transaction for the setup, signed by signers.
func (s *setup) tx(ops []ledger.Op, signers ...suite.Signer) (*ledger.SignedTx, error) {
	return signedTx(s.suite, s.id, ledger.Time(time.Now().UnixMilli())+signAhead, ops, signers...)
}

func signedTx(s suite.Suite, network suite.Hash, validUntil ledger.Time, ops []ledger.Op, signers ...suite.Signer) (*ledger.SignedTx, error) {
	tx := client.NewTx(network, validUntil, ops...)
	for _, signer := range signers {
		if err := tx.Sign(s, signer); err != nil {
			return nil, err
		}
	}
	return tx, nil
}

// member is one key of one person.
type member struct {
	signer suite.Signer
	caps   ledger.Capability
	person string
}

// newMember makes a key for the n-th person of a party.
func (s *setup) newMember(caps ledger.Capability, n int) (member, error) {
	signer, err := s.suite.GenerateKey(nil)
	return member{signer: signer, caps: caps, person: fmt.Sprintf("person %d", n)}, err
}

// admit returns the operation by which the root authority onboards a party whose money and trade are decided as policies say.
func (s *setup) admit(id ledger.PartyID, name string, roles ledger.Role, policies []ledger.Policy, members ...member) (ledger.Op, error) {
	g := s.net.Genesis
	issuer := s.net.Keys[genesis.KeyIdentity]
	secret := genesis.IssuerSecret(s.suite, issuer)
	until := g.Start + 5*365*ledger.Day
	op := &ledger.PartyOnboard{ID: id, Name: name, Scope: "/", Roles: roles, Size: ledger.SizeMedium, Policies: policies,
		Evidence: s.suite.Hash(ledger.DomainDocument, []byte(name))}
	for _, m := range members {
		c, err := ledger.SignCredential(issuer, ledger.Credential{Network: s.id, Party: id, Key: m.signer.Public(),
			Person: ledger.PersonCommitment(s.suite, secret, m.person, id), NotAfter: until})
		if err != nil {
			return ledger.Op{}, err
		}
		op.Members = append(op.Members, ledger.MemberGrant{Key: m.signer.Public(), Caps: m.caps, NotBefore: g.Start, NotAfter: until, Credential: c})
	}
	return ledger.NewOp(g.Authority.ID, op), nil
}

// authority returns the key that onboards.
func (s *setup) authority() suite.Signer { return s.net.Keys[genesis.KeyAuthorityAdmin] }

// partyID returns a valid code of the n-th organisation of a kind, a capital letter. Region 990000 does not exist.
func partyID(kind byte, n int) (ledger.PartyID, error) {
	return ledger.CompleteUSCC(fmt.Sprintf("91990000%c%08d", kind, n))
}
