package bench

import (
	"context"
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
	// authority onboards, issuer signs credentials, whose persons are hidden by secret.
	authority, issuer suite.Signer
	secret            []byte
	// done counts receipts, unknown what was submitted and not answered.
	done, unknown atomic.Int64
}

// newSetup returns a setup of network f, which answers clients.
func newSetup(f *genesis.Network, clients []*client.Client, out *progress) (*setup, error) {
	s := &setup{net: f, suite: f.Suite, id: f.Genesis.NetworkID(f.Suite), clients: clients, out: out,
		secret: genesis.IssuerSecret(f.Suite, f.Keys[genesis.KeyIdentity])}
	var err error
	if s.authority, err = quick(f.Suite, f.Keys[genesis.KeyAuthorityAdmin]); err != nil {
		return nil, err
	}
	s.issuer, err = quick(f.Suite, f.Keys[genesis.KeyIdentity])
	return s, err
}

const (
	// setupBulkBytes and setupTxs close one bulk submission of the setup.
	setupBulkBytes = 128 << 10
	setupTxs       = 64
	// setupBulks is how many bulk submissions are under way: enough that the validators never wait for this process.
	setupBulks = 16
	// setupPatience is for how long what was not answered is submitted again, less than it may be included.
	setupPatience = 8 * time.Minute
)

// submit makes transactions 0 to count−1 on all processors and submits them in bulk, in no order. All must take effect.
func (s *setup) submit(ctx context.Context, what string, count int, build func(i int) (*ledger.SignedTx, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fail := func(err error) {
		if err != nil {
			cancel(fmt.Errorf("%s: %w", what, err))
		}
	}
	bulks := make(chan *bulk)
	var builders, senders sync.WaitGroup
	var next, done atomic.Int64
	for range min(count, runtime.GOMAXPROCS(0)) {
		builders.Go(func() {
			for more := true; more && ctx.Err() == nil; {
				b := new(bulk)
				var err error
				if more, err = b.fill(&next, count, build); err != nil {
					fail(err)
					return
				}
				select {
				case bulks <- b:
				case <-ctx.Done():
				}
			}
		})
	}
	for k := range setupBulks {
		senders.Go(func() {
			for b := range bulks {
				n, err := s.flush(ctx, s.clients[k%len(s.clients)], b)
				fail(err)
				s.out.show("%s: %d of %d", what, done.Add(int64(n)), count)
			}
		})
	}
	builders.Wait()
	close(bulks)
	senders.Wait()
	return context.Cause(ctx)
}

// bulk collects transactions for one submission.
type bulk struct {
	txs   [][]byte
	bytes int
}

// fill makes the transactions of one submission and reports whether there are more.
func (b *bulk) fill(next *atomic.Int64, count int, build func(i int) (*ledger.SignedTx, error)) (more bool, err error) {
	for len(b.txs) < setupTxs && b.bytes < setupBulkBytes {
		i := int(next.Add(1)) - 1
		if i >= count {
			return false, nil
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
	}
	return true, nil
}

// flush submits what was collected via one validator and waits until all of it is committed.
func (s *setup) flush(ctx context.Context, via *client.Client, b *bulk) (int, error) {
	left, deadline := b.txs, time.Now().Add(setupPatience)
	defer func() { s.unknown.Add(int64(len(left))) }()
	for len(left) > 0 {
		answers, err := via.SubmitBatch(ctx, left, api.WaitCommitted)
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
				s.done.Add(1)
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
	return len(b.txs), nil
}

// tx makes a transaction for the setup, signed by signers.
func (s *setup) tx(ops []ledger.Op, signers ...suite.Signer) (*ledger.SignedTx, error) {
	return signedTx(s.suite, s.id, ledger.Time(time.Now().UnixMilli())+signAhead, ops, signers...)
}

func signedTx(s suite.Suite, network suite.Hash, validUntil ledger.Time, ops []ledger.Op, signers ...suite.Signer) (*ledger.SignedTx, error) {
	tx := client.NewTx(network, validUntil, ops...)
	id := tx.Tx.ID(s) // once, for all of them
	for _, signer := range signers {
		sig, err := signer.Sign(ledger.DomainTxSignature, id[:])
		if err != nil {
			return nil, err
		}
		tx.AddSignature(ledger.TxSignature{Key: signer.Public(), Sig: sig})
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
	if err == nil {
		signer, err = quick(s.suite, signer)
	}
	return member{signer: signer, caps: caps, person: fmt.Sprintf("person %d", n)}, err
}

// admit returns the operation by which the root authority onboards a party whose money and trade are decided as policies say.
func (s *setup) admit(id ledger.PartyID, name string, roles ledger.Role, policies []ledger.Policy, members ...member) (ledger.Op, error) {
	g := s.net.Genesis
	until := g.Start + 5*365*ledger.Day
	op := &ledger.PartyOnboard{ID: id, Name: name, Scope: "/", Roles: roles, Size: ledger.SizeMedium, Policies: policies,
		Evidence: s.suite.Hash(ledger.DomainDocument, []byte(name))}
	for _, m := range members {
		c, err := ledger.SignCredential(s.issuer, ledger.Credential{Network: s.id, Party: id, Key: m.signer.Public(),
			Person: ledger.PersonCommitment(s.suite, s.secret, m.person, id), NotAfter: until})
		if err != nil {
			return ledger.Op{}, err
		}
		op.Members = append(op.Members, ledger.MemberGrant{Key: m.signer.Public(), Caps: m.caps, NotBefore: g.Start, NotAfter: until, Credential: c})
	}
	return ledger.NewOp(g.Authority.ID, op), nil
}

// partyID returns a valid code of the n-th organisation of a kind, a capital letter. Region 990000 does not exist.
func partyID(kind byte, n int) (ledger.PartyID, error) {
	return ledger.CompleteUSCC(fmt.Sprintf("91990000%c%08d", kind, n))
}
