package bft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	kernel "github.com/hyperledger-labs/SmartBFT/pkg/consensus"
	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"

	"aval/internal/consensus"
	"aval/ledger"
	"aval/suite"
)

// ending says why a kernel cannot go on.
type ending struct {
	why string
	// sync asks for blocks from the others before the next kernel starts.
	sync bool
	// jump is the view to change to next, of which the kernel does not know; 0: none.
	jump uint64
}

// instance is one run of the kernel, for one epoch, from the ledger's head. When it cannot go on it ends: it falls
// silent at once, and whoever supervises it starts another.
type instance struct {
	cfg   *Config
	log   *slog.Logger
	judge *judge
	guard *guard
	self  uint16
	// promise is what the statements and votes of this validator bind it to.
	promise promise
	// settlement settles what view changes have in flight.
	settlement *settlement

	kernel  *kernel.Consensus
	journal *journal
	restore *restoration
	inboxes []*inbox
	pumps   sync.WaitGroup
	// stopTickers ends the tickers. They must tick until the kernel has stopped, since it waits for them.
	stopTickers []func()

	ctx    context.Context
	cancel context.CancelFunc
	// dead is set once: the instance then sends, signs and commits nothing more.
	dead  atomic.Bool
	ended chan ending

	// view is the kernel's view as last asked; leaving the newest view that this validator asked to enter.
	view, leaving atomic.Uint64
	// height is the kernel's height when it was asked for its view.
	height atomic.Uint64
	peers  *peers
	// stated is the newest view that the kernel made a statement for: only then does it take the others' statements.
	stated atomic.Uint64
	out    outbound
	// begun is when the kernel was last told that a view begins, locked when it last asked for a vote for what a view change
	// took up, which it does under a lock that it then holds for two ticks, whatever comes of it; both in ns since 1970.
	begun, locked atomic.Int64
	// gate is held for reading while a proposal or vote is handed in, for writing when the kernel leaves its view for a
	// view change: none is handed in while the kernel holds a lock over the time it takes up what was in flight.
	gate sync.RWMutex
	// preparing is held from a vote in a view until the kernel has recorded it (see prepare).
	preparing sync.Mutex
	// unheard counts how often the kernel was told to synchronise since it last did; wanted asks for blocks to be fetched.
	unheard atomic.Uint64
	wanted  chan struct{}
	// evicted is set once the controller was told to end.
	evicted atomic.Bool
	// started is set by the kernel's first question for the verification sequence (see VerificationSequence).
	started atomic.Bool

	mu sync.Mutex
	// validated holds the hashes of the newest headers that the ledger found valid.
	validated []suite.Hash
	// taken is the newest view whose beginning took a proposal up, the height of that, and when it was.
	taken struct {
		view   uint64
		height ledger.Height
		at     time.Time
	}
	// asked holds the ids of requests that are being submitted, by the address of their bytes.
	asked map[*byte]types.RequestInfo
	// sent is the last message encoded: the kernel sends each message to all others in turn.
	sent struct {
		message *smartbftprotos.Message
		bytes   []byte
	}
}

const validatedMax = 8

// newInstance prepares a kernel after the ledger's head. st is what its log says.
func newInstance(cfg *Config, g *guard, s *state, jr *journal, st *logState) (*instance, error) {
	j, self := s.judge, s.self
	in := &instance{cfg: cfg, judge: j, guard: g, self: self, peers: s.peers, journal: jr, ended: make(chan ending, 1), wanted: make(chan struct{}, 1),
		asked: map[*byte]types.RequestInfo{}, settlement: newSettlement(j),
		log: cfg.Logger.With(slog.Uint64("epoch", j.epoch), slog.Int("validator", int(self)))}
	in.ctx, in.cancel = context.WithCancel(context.Background())
	in.out.answered, in.out.agreed = make([]placed, len(j.set)), make([]placed, len(j.set))
	head := cfg.Ledger.Head()
	restore, err := st.plan(head, func(p types.Proposal) (*types.Signature, error) { return in.vote(p, st.flight.asOf) })
	if err != nil {
		in.cancel()
		return nil, err
	}
	in.restore = restore
	in.promise.restore(restore)
	if restore.told != nil {
		in.settlement.restored = toProto(restore.told.proposal)
	}
	md, err := metadataOf(head.Metadata)
	if err != nil {
		in.cancel()
		return nil, err
	}
	if head.Header.Height == 0 {
		md = &smartbftprotos.ViewMetadata{}
	}
	last := decisionOf(head)
	in.kernel = &kernel.Consensus{
		Config: cfg.kernelConfig(self), Application: in, Assembler: in, Comm: in, Signer: in, Verifier: in,
		RequestInspector: in, Synchronizer: in, WAL: in, WALInitialContent: append([][]byte{}, restore.first...),
		Logger: in.kernelLog(), Metadata: md, LastProposal: last.Proposal, LastSignatures: last.Signatures,
	}
	return in, nil
}

func (in *instance) kernelLog() *kernelLog {
	return &kernelLog{log: in.log, failed: func(text string) { in.end("the kernel cannot go on: "+text, true) }}
}

// start runs the kernel. An error leaves nothing running that could send or sign.
func (in *instance) start() error {
	scheduler, stopScheduler := in.cfg.Ticker(in.cfg.Timing.Tick)
	changer, stopChanger := in.cfg.Ticker(in.cfg.Timing.Tick)
	in.stopTickers = []func(){stopScheduler, stopChanger}
	in.kernel.Scheduler, in.kernel.ViewChangerTicker = scheduler, changer
	// The kernel may end the goroutine that starts it (see kernelLog.Panicf).
	err := errors.New("the kernel did not start")
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = in.kernel.Start()
	}()
	<-done
	if err != nil {
		in.end(err.Error(), false)
		stopScheduler()
		stopChanger()
		return fmt.Errorf("bft: %w", err)
	}
	for i := range in.judge.set {
		box := newInbox()
		in.inboxes = append(in.inboxes, box)
		in.pumps.Add(1)
		go in.pump(uint16(i), box)
	}
	in.pumps.Add(1)
	go in.fetch()
	in.askView()
	return nil
}

// want asks for the blocks that the ledger lacks.
func (in *instance) want() {
	select {
	case in.wanted <- struct{}{}:
	default:
	}
}

// fetch fetches blocks when they are wanted, and tells the kernel when some have come.
func (in *instance) fetch() {
	defer in.pumps.Done()
	for {
		select {
		case <-in.ctx.Done():
			return
		case <-in.wanted:
		}
		before := in.cfg.Ledger.Head().Header.Height
		syncBlocks(in.ctx, in.cfg, in.log)
		head := in.cfg.Ledger.Head().Header.Height
		for h := before + 1; h <= head; h++ {
			b, err := in.cfg.Ledger.Block(h)
			if err != nil {
				in.log.Error("a fetched block", slog.Any("error", err), slog.Uint64("height", uint64(h)))
				continue
			}
			in.forgetOrdered(b)
		}
		in.checkEpoch()
		if head > before {
			in.askSync()
		}
	}
}

// stopPatience is how long the kernel may take to stop before it is left behind, dead as it is.
const stopPatience = 10 * time.Second

// stop ends the kernel and waits for its goroutines.
func (in *instance) stop() {
	in.end("stopped", false)
	for _, b := range in.inboxes {
		b.close()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		in.kernel.Stop()
		in.pumps.Wait()
		for _, stop := range in.stopTickers {
			stop()
		}
	}()
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		in.log.Error("the kernel did not stop; it is left behind and can do nothing any more")
	}
	if err := in.journal.close(); err != nil {
		in.log.Warn("close the log", slog.Any("error", err))
	}
}

// end makes the instance fall silent and tells the supervisor why.
func (in *instance) end(why string, sync bool) { in.endWith(ending{why: why, sync: sync}) }

func (in *instance) endWith(e ending) {
	if in.dead.Swap(true) {
		return
	}
	in.cancel()
	in.ended <- e
}

// askView has the kernel tell its view: it answers questions for its state at once, to whoever asks.
func (in *instance) askView() {
	if in.dead.Load() {
		return
	}
	in.kernel.HandleMessage(nodeID(in.self), &smartbftprotos.Message{Content: &smartbftprotos.Message_StateTransferRequest{
		StateTransferRequest: &smartbftprotos.StateTransferRequest{}}})
}

// changing reports whether this validator asked for a view that it has not entered.
func (in *instance) changing() bool { return in.leaving.Load() > in.view.Load() }

// askSync has the kernel synchronise, by a heartbeat of its leader from a view far ahead.
func (in *instance) askSync() {
	leader := in.kernel.GetLeaderID()
	if leader == 0 || in.dead.Load() {
		return
	}
	in.unheard.Add(1)
	in.kernel.HandleMessage(leader, &smartbftprotos.Message{Content: &smartbftprotos.Message_HeartBeat{
		HeartBeat: &smartbftprotos.HeartBeat{View: numberMax}}})
}

// info returns the kernel's name of a request.
func (in *instance) info(id consensus.RequestID) types.RequestInfo {
	return types.RequestInfo{ClientID: strconv.FormatUint(in.judge.epoch, 10), ID: string(id)}
}

// What the kernel's pool says about a request that it knows; its errors have no names outside it.
const (
	poolExists    = "request already exists"
	poolProcessed = "request already processed"
)

// submit hands a request to the kernel's pool.
func (in *instance) submit(request []byte, id consensus.RequestID) error {
	if in.dead.Load() || in.kernel.Pool.Size() >= in.cfg.PendingMax {
		return consensus.ErrBusy
	}
	info := in.info(id)
	in.mu.Lock()
	in.asked[&request[0]] = info
	in.mu.Unlock()
	err := in.kernel.SubmitRequest(request)
	in.mu.Lock()
	delete(in.asked, &request[0])
	in.mu.Unlock()
	switch {
	case err == nil:
	case err.Error() == poolExists || err.Error() == poolProcessed:
		return consensus.ErrDuplicate
	case errors.Is(err, context.DeadlineExceeded):
		return consensus.ErrBusy
	default:
		return fmt.Errorf("bft: submit: %w", err)
	}
	if in.cfg.Ledger.Ordered(id) { // it was ordered while it was being submitted
		in.forget(id)
		return consensus.ErrDuplicate
	}
	return nil
}

// RequestID implements the kernel's RequestInspector.
func (in *instance) RequestID(request []byte) types.RequestInfo {
	if len(request) == 0 {
		return types.RequestInfo{}
	}
	in.mu.Lock()
	info, ok := in.asked[&request[0]]
	in.mu.Unlock()
	if ok {
		return info
	}
	id, err := in.cfg.Ledger.RequestID(request)
	if err != nil {
		return types.RequestInfo{}
	}
	return in.info(id)
}

// forget removes a request from the pool. The kernel itself forgets only what its own views decide; what was fetched,
// or decided in a view change, would stay, be proposed again and complained about. The pool's only error is that the
// request was not there.
func (in *instance) forget(ids ...consensus.RequestID) {
	for _, id := range ids {
		_ = in.kernel.Pool.RemoveRequest(in.info(id))
	}
}

// forgetOrdered removes from the pool what a block ordered.
func (in *instance) forgetOrdered(b *ledger.Block) {
	ids, err := in.cfg.Ledger.Requests(b.Payload)
	if err != nil {
		in.log.Error("the requests of a committed block", slog.Any("error", err), slog.Uint64("height", uint64(b.Header.Height)))
		return
	}
	in.forget(ids...)
}

// salvage returns the requests that still wait.
func (in *instance) salvage() [][]byte {
	waiting, _ := in.kernel.Pool.NextRequests(in.cfg.PendingMax, 1<<62, false)
	return waiting
}
