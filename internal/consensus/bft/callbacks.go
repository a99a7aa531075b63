package bft

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"aval/ledger"
	"aval/suite"
)

// This file is what the kernel calls: its Comm, Assembler, Verifier, Signer, Application and Synchronizer.

var errDead = errors.New("bft: this run of the kernel has ended")

// Nodes implements Comm.
func (in *instance) Nodes() []uint64 {
	out := make([]uint64, len(in.judge.set))
	for i := range out {
		out[i] = nodeID(uint16(i))
	}
	return out
}

// SendTransaction implements Comm: it forwards a request to the leader.
func (in *instance) SendTransaction(target uint64, request []byte) {
	if !in.dead.Load() && target != nodeID(in.self) {
		in.cfg.Links.SendRequest(uint16(target-1), request)
	}
}

// SendConsensus implements Comm. It does not block.
func (in *instance) SendConsensus(target uint64, m *smartbftprotos.Message) {
	if s := m.GetStateTransferResponse(); s != nil && target == nodeID(in.self) {
		in.view.Store(s.GetViewNum())
		in.height.Store(s.GetSequence())
		return
	}
	if m.GetStateTransferRequest() != nil {
		in.answerState(target)
		return
	}
	if vc := m.GetViewChange(); vc != nil {
		in.leaving.Store(max(vc.GetNextView(), in.leaving.Load()))
		if !in.out.mayAsk(m, vc.GetNextView(), time.Now()) {
			return
		}
	}
	if in.dead.Load() || target == nodeID(in.self) {
		return
	}
	if m.GetViewData() != nil {
		m = in.amended(m)
	}
	in.out.note(m, time.Now(), in.cfg.Ledger.Head().Header.Height)
	b, err := in.encode(m)
	if err != nil {
		in.end("encode a message: "+err.Error(), false)
		return
	}
	in.cfg.Links.Send(uint16(target-1), b)
}

// answerState answers the kernel's question for the others' states from what they told last. Their own answers would take
// time, which the kernel spends holding a lock.
func (in *instance) answerState(target uint64) {
	first := nodeID(0)
	if in.self == 0 {
		first = nodeID(1)
	}
	if target != first { // it asks all of them in turn
		return
	}
	others, at := in.peers.agreed()
	for _, i := range others {
		in.kernel.HandleMessage(nodeID(i), &smartbftprotos.Message{Content: &smartbftprotos.Message_StateTransferResponse{
			StateTransferResponse: &smartbftprotos.StateTransferResponse{ViewNum: at.View, Sequence: uint64(at.Height)}}})
	}
}

func (in *instance) encode(m *smartbftprotos.Message) ([]byte, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.sent.message == m {
		return in.sent.bytes, nil
	}
	whole := m
	if m.GetNewView() != nil {
		whole = in.settlement.unshortened(m)
	}
	body, err := proto.Marshal(whole)
	if err != nil {
		return nil, err
	}
	kind := kindKernel
	if nv := whole.GetNewView(); nv != nil {
		kind, body = kindPacked, packNewView(body, nv)
	}
	b := encodeEnvelope(in.judge.epoch, kind, body)
	in.sent.message, in.sent.bytes = m, b
	return b, nil
}

// requestsMax is how many requests are offered for one block.
const requestsMax = ledger.BlockBatchesMax + ledger.BlockTicksMax

// AssembleProposal implements Assembler. The kernel offers one request, which wakes it; the block takes whatever else
// is pending. A zero proposal makes the kernel give up the lead.
func (in *instance) AssembleProposal(metadata []byte, _ [][]byte) types.Proposal {
	if in.dead.Load() || in.restrained(metadata) {
		return types.Proposal{}
	}
	requests, _ := in.kernel.Pool.NextRequests(requestsMax, PayloadBytesMax, false)
	b, err := in.cfg.Ledger.Assemble(in.ctx, metadata, in.judge.epoch, requests)
	if err != nil {
		in.end("assemble a block: "+err.Error(), true)
		return types.Proposal{}
	}
	in.dropUnfit(requests, b)
	return proposalOf(b)
}

// restrained reports whether the kernel wants to propose in a view that this validator has left: a synchronisation took
// it back there. Refused, it would at once try again, so it has to wait first.
func (in *instance) restrained(metadata []byte) bool {
	md, err := metadataOf(metadata)
	if err != nil || !in.promise.left(md.GetViewId()) {
		return false
	}
	pause := time.NewTimer(3 * in.cfg.Timing.Tick)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-in.ctx.Done():
	}
	return true
}

// dropUnfit removes from the pool the requests that were offered for a block and can be in none. The first of them
// always has room, so if it was left out it is one.
func (in *instance) dropUnfit(offered [][]byte, b *ledger.Block) {
	included, err := in.cfg.Ledger.Requests(b.Payload)
	if err != nil {
		in.end("the requests of an assembled block: "+err.Error(), false)
		return
	}
	unfit := map[*byte]bool{}
	for i, r := range offered {
		id, err := in.cfg.Ledger.RequestID(r)
		if err == nil && slices.Contains(included, id) {
			continue
		}
		if err != nil || i == 0 || in.cfg.Ledger.Ordered(id) {
			unfit[&r[0]] = true
		}
	}
	if len(unfit) == 0 {
		return
	}
	in.log.Debug("requests that cannot be ordered", slog.Int("count", len(unfit)))
	in.kernel.Pool.Prune(func(r []byte) error {
		if unfit[&r[0]] {
			return errUnfit
		}
		return nil
	})
}

var errUnfit = errors.New("bft: the request cannot be ordered any more")

// VerifyProposal implements Verifier. Whether the wall time is fresh was judged when the proposal arrived.
func (in *instance) VerifyProposal(p types.Proposal) ([]types.RequestInfo, error) {
	if in.dead.Load() {
		return nil, errDead
	}
	b, view, err := in.judge.bind(p)
	if err != nil {
		return nil, err
	}
	if in.promise.left(view) {
		return nil, fmt.Errorf("bft: a proposal of view %d, which was left", view)
	}
	if err := in.validate(b); err != nil {
		return nil, err
	}
	return in.RequestsFromProposal(p), nil
}

// validate has the ledger judge a block, once.
func (in *instance) validate(b *ledger.Block) error {
	hash := b.Header.Hash(in.cfg.Suite)
	in.mu.Lock()
	done := slices.Contains(in.validated, hash)
	in.mu.Unlock()
	if done {
		return nil
	}
	if known, err := in.committed(b); known || err != nil {
		return err
	}
	if err := in.cfg.Ledger.Validate(in.ctx, b); err != nil {
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.validated) == validatedMax {
		in.validated = slices.Delete(in.validated, 0, 1)
	}
	in.validated = append(in.validated, hash)
	return nil
}

// RequestsFromProposal implements Verifier.
func (in *instance) RequestsFromProposal(p types.Proposal) []types.RequestInfo {
	ids, err := in.cfg.Ledger.Requests(p.Payload)
	if err != nil {
		return nil // only a payload that is not valid, which is judged elsewhere
	}
	out := make([]types.RequestInfo, len(ids))
	for i, id := range ids {
		out[i] = in.info(id)
	}
	return out
}

// VerifyRequest implements Verifier.
func (in *instance) VerifyRequest(request []byte) (types.RequestInfo, error) {
	id, err := in.cfg.Ledger.RequestID(request)
	if err != nil {
		return types.RequestInfo{}, err
	}
	return in.info(id), nil
}

// VerifyConsenterSig implements Verifier.
func (in *instance) VerifyConsenterSig(sig types.Signature, p types.Proposal) ([]byte, error) {
	return nil, in.judge.vote(sig, p)
}

// VerifySignature implements Verifier: it checks a view-change statement.
func (in *instance) VerifySignature(sig types.Signature) error {
	return in.judge.statementOf(sig.ID, in.settlement.signed(sig.ID, sig.Msg), sig.Value)
}

// VerificationSequence implements Verifier: it is the epoch. The kernel asks first between its two readings of the
// log, which is where the second reading is laid before it.
func (in *instance) VerificationSequence() uint64 {
	if !in.started.Swap(true) {
		copy(in.kernel.WALInitialContent, in.restore.second)
	}
	return in.judge.epoch
}

// AuxiliaryData implements Verifier; only a rotating leader needs any.
func (in *instance) AuxiliaryData([]byte) []byte { return nil }

// Sign implements Signer: it signs a view-change statement.
func (in *instance) Sign(data []byte) []byte {
	if in.dead.Load() {
		return nil
	}
	err := in.checkStatement(data)
	if err == nil {
		err = in.settlement.begin(data)
	}
	if err != nil {
		in.end(err.Error(), false)
		return nil
	}
	in.gate.Lock()
	in.stated.Store(max(firstNumber(data), in.stated.Load()))
	in.gate.Unlock()
	sig, err := in.cfg.Signer.Sign(domainStatement, in.judge.statementBytes(data))
	if err != nil {
		in.end("sign a view-change statement: "+err.Error(), false)
		return nil
	}
	return sig
}

// SignProposal implements Signer: it makes this validator's vote. auxiliary is nil when a view change took the proposal
// up.
func (in *instance) SignProposal(p types.Proposal, auxiliary []byte) *types.Signature {
	if auxiliary == nil {
		in.locked.Store(time.Now().UnixNano())
	}
	if auxiliary != nil {
		in.prepare(p)
	} else if err := in.takeUp(p); err != nil {
		in.log.Error("cannot take up a proposal", slog.Any("error", err))
		return in.noVote()
	}
	sig, err := in.vote(p, in.takenUp(auxiliary))
	if err != nil {
		in.log.Info("no vote", slog.Any("error", err))
		return in.noVote()
	}
	return sig
}

// prepare comes before a vote in a view, which the kernel records by marking what is in flight as prepared. If it has
// synchronised meanwhile to a block of that height, nothing is in flight any more and marking it would take the process
// down; the view is over in any case, so its goroutine and the run end here. The block shows before the kernel is told
// of it, and until the mark is made (Append) it is not told (Sync).
func (in *instance) prepare(p types.Proposal) {
	in.preparing.Lock()
	b, _, err := in.judge.bind(p)
	if err == nil && b.Header.Height > in.cfg.Ledger.Head().Header.Height {
		return
	}
	in.preparing.Unlock()
	in.end("a block was fetched while it was being decided", false)
	runtime.Goexit()
}

// takeUp records a proposal that a view change took up, before it is voted for. At least one honest validator had
// found it valid, so this one will too.
func (in *instance) takeUp(p types.Proposal) error {
	if in.dead.Load() {
		return errDead
	}
	b, _, err := in.judge.bind(p)
	if err != nil {
		return err
	}
	if err := in.validate(b); err != nil {
		return err
	}
	if err := in.journal.takeUp(p); err != nil {
		in.end("write the log: "+err.Error(), false)
		return err
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.taken.view, in.taken.height, in.taken.at = in.stated.Load(), b.Header.Height, time.Now()
	return nil
}

// takenAt returns the newest view whose beginning took a proposal up, and the height of that.
func (in *instance) takenAt() (uint64, ledger.Height) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.taken.view, in.taken.height
}

// vote signs the header of a proposal, once the guard has recorded it.
func (in *instance) vote(p types.Proposal, takenUp uint64) (*types.Signature, error) {
	if in.dead.Load() {
		return nil, errDead
	}
	b, view, err := in.judge.bind(p)
	if err != nil {
		return nil, err
	}
	if next := in.cfg.Ledger.Head().Header.Height + 1; b.Header.Height > next {
		return nil, fmt.Errorf("bft: a vote for height %d, the next is %d", b.Header.Height, next)
	}
	if _, err := in.committed(b); err != nil {
		return nil, err
	}
	hash := b.Header.Hash(in.cfg.Suite)
	sig, err := in.promise.vote(&b.Header, hash, view, takenUp, func() (suite.Signature, error) {
		if err := in.guard.permit(in.judge.epoch, b.Header.Height, view, hash); err != nil {
			return nil, err
		}
		return in.cfg.Signer.Sign(ledger.DomainVote, b.Header.VoteBytes(in.cfg.Suite))
	})
	if err != nil {
		return nil, err
	}
	return &types.Signature{ID: nodeID(in.self), Value: sig}, nil
}

// Deliver implements Application: it commits a decided block.
func (in *instance) Deliver(p types.Proposal, sigs []types.Signature) types.Reconfig {
	if in.dead.Load() {
		return types.Reconfig{InLatestDecision: in.evict()}
	}
	view, err := in.commit(p, sigs)
	if err != nil {
		in.log.Error("a decided block is not committed", slog.Any("error", err))
		in.end("commit: "+err.Error(), true)
	} else if in.leaving.Load() > view && byController() {
		in.end("a decision came after its view was left", false)
	}
	return types.Reconfig{InLatestDecision: in.dead.Load() && in.evict()}
}

// evict reports, once, that the kernel's controller is to be told that this validator was evicted, which ends it.
//
// The controller takes a decision from its view and then waits for the view to take note. If it has aborted the view
// in between, because of a view change or since it fetched the same block, it waits for ever. That cannot be seen from
// outside, but when it may be so, ending the controller and starting again costs nothing.
func (in *instance) evict() bool { return byController() && !in.evicted.Swap(true) }

// byController reports whether the calling callback was called by the kernel's controller for a decision of its view.
func byController() bool {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, ".(*Controller).decide") {
			return true
		}
		if !more {
			return false
		}
	}
}

// commit commits a decided block and returns the view in which it was proposed.
func (in *instance) commit(p types.Proposal, sigs []types.Signature) (uint64, error) {
	b, view, err := in.judge.bind(p)
	if err != nil {
		return 0, err
	}
	if known, err := in.committed(b); known || err != nil {
		return view, err
	}
	cert, err := in.judge.certificate(sigs)
	if err != nil {
		return 0, fmt.Errorf("block %d: %w", b.Header.Height, err)
	}
	block := *b
	block.Certificate = cert
	if err := in.cfg.Ledger.Commit(&block); err != nil {
		return 0, err
	}
	in.forgetOrdered(&block)
	in.checkEpoch()
	return view, nil
}

// committed reports whether the ledger has the block already, as it may when it was fetched. Another block in its place
// is an error.
func (in *instance) committed(b *ledger.Block) (bool, error) {
	if b.Header.Height > in.cfg.Ledger.Head().Header.Height {
		return false, nil
	}
	other, err := in.cfg.Ledger.Block(b.Header.Height)
	if err != nil {
		return false, err
	}
	if other.Header != b.Header {
		return false, fmt.Errorf("bft: height %d is taken by another block", b.Header.Height)
	}
	return true, nil
}

// checkEpoch ends the run when the block after the head belongs to another epoch.
func (in *instance) checkEpoch() {
	if epoch, _ := in.cfg.Ledger.Epoch(); epoch != in.judge.epoch {
		in.end(fmt.Sprintf("epoch %d begins", epoch), false)
	}
}

// Sync implements Synchronizer. It returns what is here and has more fetched: the kernel asks while holding a lock, and
// none of its goroutines should wait for the network. When blocks have come it is told to ask again.
func (in *instance) Sync() types.SyncResponse {
	in.unheard.Store(0)
	in.want()
	if byController() {
		in.end("a decision came after its block was fetched", false)
	}
	in.preparing.Lock()
	latest := decisionOf(in.cfg.Ledger.Head())
	in.preparing.Unlock()
	return types.SyncResponse{
		Latest:   latest,
		Reconfig: types.ReconfigSync{InReplicatedDecisions: in.dead.Load() && in.evict()},
	}
}
