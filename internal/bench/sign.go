package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"aval/ledger"
)

// signed is a file of transactions that were signed ahead.
type signed struct {
	path string
	// lanes and txs are how many there are, bytes their size.
	lanes, txs int
	bytes      int64
	validUntil time.Time
	// used is how many lanes, from the front, loads have taken.
	used int
	// cpu is the processor time that making and signing took.
	cpu time.Duration
}

// signAhead is until when transactions are signed; they may be included for ledger.TxWindowMax at most.
const signAhead = ledger.TxWindowMax - 15*ledger.Second

// signChunk is how many lanes one goroutine signs at a time.
const signChunk = 64

// sign makes lanes [from, from+count) of w on all processors and writes them to a new file. progress is told how many are
// done.
func sign(ctx context.Context, w workload, path string, from, count int, progress func(done int)) (out *signed, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	before, err := ownCPU()
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(time.Duration(signAhead) * time.Millisecond)
	s := &signer{w: w, to: bufio.NewWriterSize(file, 1<<20), from: from, count: count, validUntil: ledger.Time(until.UnixMilli()),
		out: signed{path: path, lanes: count, validUntil: until}, progress: progress}
	if err := s.run(ctx); err != nil {
		return nil, fmt.Errorf("sign ahead: %w", err)
	}
	if err := s.to.Flush(); err != nil {
		return nil, err
	}
	after, err := ownCPU()
	s.out.cpu = after - before
	return &s.out, err
}

// signer is one run of sign.
type signer struct {
	w           workload
	from, count int
	validUntil  ledger.Time
	progress    func(int)
	taken       atomic.Int64

	mu   sync.Mutex
	to   *bufio.Writer
	done int
	out  signed
}

func (s *signer) run(ctx context.Context) error {
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for k := range workers {
		wg.Go(func() { errs[k] = s.work(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (s *signer) work(ctx context.Context) error {
	var chunk []byte
	for ctx.Err() == nil {
		begin := int(s.taken.Add(signChunk)) - signChunk
		if begin >= s.count {
			return nil
		}
		chunk = chunk[:0]
		end, txs := min(begin+signChunk, s.count), 0
		for i := begin; i < end; i++ {
			lane, err := s.w.lane(s.from+i, s.validUntil)
			if err != nil {
				return err
			}
			chunk = appendLane(chunk, lane)
			txs += len(lane)
		}
		if err := s.write(chunk, end-begin, txs); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *signer) write(chunk []byte, lanes, txs int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done += lanes
	s.out.txs += txs
	s.out.bytes += int64(len(chunk))
	s.progress(s.done)
	_, err := s.to.Write(chunk)
	return err
}
