package kv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// PebbleConfig says where and how a Pebble store is kept.
type PebbleConfig struct {
	// Dir is the folder, made if it does not exist. Required.
	Dir string
	// CacheBytes is the size of the block cache. Default 64 MiB.
	CacheBytes int64
	// MemTableBytes is the size at which recent writes go to a table. Default 16 MiB.
	MemTableBytes uint64
	// Log receives the store's own messages. Default: discarded.
	Log *slog.Logger
	// FS is the file system. Default: the machine's.
	FS vfs.FS
	// OnDamage is told, perhaps more than once, of files that no crash can leave like this; the error is ErrDamaged. The call
	// that met them fails as well. It must neither block nor use the store. Default: the process ends.
	OnDamage func(error)
}

// Validate reports every problem at once.
func (c *PebbleConfig) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("kv: Dir is empty"))
	}
	if c.CacheBytes < 0 {
		errs = append(errs, fmt.Errorf("kv: CacheBytes is %d", c.CacheBytes))
	}
	if c.MemTableBytes > 1<<30 {
		errs = append(errs, fmt.Errorf("kv: MemTableBytes is %d, the most is %d", c.MemTableBytes, 1<<30))
	}
	return errors.Join(errs...)
}

// Pebble is a Store on disk.
type Pebble struct {
	// mu is held for reading by every call, so that Close waits for them.
	mu       sync.RWMutex
	db       *pebble.DB
	onDamage func(error)
	// closed is set by Close. Invariant: db is not used once it is set.
	closed bool
	// iterators counts the running Iterates. They do not hold mu, because their functions may call the store.
	iterators sync.WaitGroup
	counters
}

// separatedBytes is the size from which a value is kept outside the tables.
const separatedBytes = 4 << 10

// OpenPebble opens the store in c.Dir or makes one.
func OpenPebble(c PebbleConfig) (*Pebble, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	o := &pebble.Options{
		Logger:                      pebbleLog{c.Log},
		FS:                          c.FS,
		CacheSize:                   c.CacheBytes,
		MemTableSize:                c.MemTableBytes,
		MemTableStopWritesThreshold: 4,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		CompactionConcurrencyRange:  func() (lower, upper int) { return 1, 1 },
	}
	// The default scheduler wakes up ten times a second to see whether more compactions are allowed than before. With a fixed
	// number of them it is enough to look when one ends, which this one does.
	o.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	// Large values go to files of their own, which compactions leave alone until a fifth of such a file is garbage.
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{Enabled: true, MinimumSize: separatedBytes, MaxBlobReferenceDepth: 10,
			RewriteMinimumAge: 5 * time.Minute, TargetGarbageRatio: 0.2}
	}
	if o.CacheSize == 0 {
		o.CacheSize = 64 << 20
	}
	if o.MemTableSize == 0 {
		o.MemTableSize = 16 << 20
	}
	if c.Log == nil {
		o.Logger = pebbleLog{slog.New(slog.DiscardHandler)}
	}
	o.EventListener = new(pebble.EventListener)
	if c.OnDamage != nil {
		o.EventListener.DataCorruption = func(info pebble.DataCorruptionInfo) {
			c.OnDamage(fmt.Errorf("%w: %s: %w", ErrDamaged, info.Path, info.Details))
		}
	}
	db, err := openOrFail(c.Dir, o)
	if inUse(err) {
		return nil, fmt.Errorf("%w: %s", ErrInUse, c.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("kv: open %s: %w", c.Dir, err)
	}
	return &Pebble{db: db, onDamage: c.OnDamage}, nil
}

// damaged marks the error of a read that met damage, and tells it. Pebble itself does neither for files of large values.
func (p *Pebble) damaged(err error) error {
	if !pebble.IsCorruptionError(err) && !strings.Contains(err.Error(), "checksum mismatch") {
		return err
	}
	err = fmt.Errorf("%w: %w", ErrDamaged, err)
	if p.onDamage != nil {
		p.onDamage(err)
	}
	return err
}

// openOrFail opens the store, or returns what Pebble met in the background while it was opening. Pebble itself would try again
// for ever, for example to write a table to a disk that is full, and nobody would learn why the node does not start.
func openOrFail(dir string, o *pebble.Options) (*pebble.DB, error) {
	failed := make(chan error, 1)
	o.EventListener.BackgroundError = func(err error) {
		o.Logger.Errorf("in the background: %v", err)
		select {
		case failed <- err: // the first one; nobody asks once the store is open
		default:
		}
	}
	type opened struct {
		db  *pebble.DB
		err error
	}
	done := make(chan opened, 1)
	go func() {
		db, err := pebble.Open(dir, o)
		done <- opened{db, err}
	}()
	select {
	case r := <-done:
		return r.db, r.err
	case err := <-failed:
		go func() { // should it come about after all, it is not left open
			if r := <-done; r.err == nil {
				_ = r.db.Close() // the failure was reported
			}
		}()
		return nil, err
	}
}

// inUse recognises a lock that another process holds, or this one, for which Pebble has no type.
func inUse(err error) bool {
	return err != nil && (errors.Is(err, syscall.EAGAIN) || strings.Contains(err.Error(), "lock held by current process"))
}

// Get returns the value of key or ErrNotFound.
func (p *Pebble) Get(key []byte) ([]byte, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return nil, ErrClosed
	}
	p.gets.Add(1)
	v, closer, err := p.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("kv: get: %w", p.damaged(err))
	}
	out := append(make([]byte, 0, len(v)), v...)
	if err := closer.Close(); err != nil { // also if v could not be read
		return nil, fmt.Errorf("kv: get: %w", p.damaged(err))
	}
	return out, nil
}

// NewBatch returns an empty batch.
func (p *Pebble) NewBatch() *Batch { return &Batch{} }

// Apply makes the changes of b.
func (p *Pebble) Apply(b *Batch, sync bool) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return ErrClosed
	}
	if err := b.take(); err != nil {
		return err
	}
	// Each change has a few bytes of framing.
	native := p.db.NewBatchWithSize(b.Bytes() + 16*b.Len() + 64)
	err := b.each(func(kind opKind, key, value []byte) error {
		switch kind {
		case opSet:
			return native.Set(key, value, nil)
		case opDelete:
			return native.Delete(key, nil)
		default:
			return native.DeleteRange(key, value, nil)
		}
	})
	if err == nil {
		err = native.Commit(&pebble.WriteOptions{Sync: sync})
	}
	if err = errors.Join(err, native.Close()); err != nil {
		return fmt.Errorf("kv: apply: %w", err)
	}
	p.counters.applied(b, sync)
	return nil
}

// Iterate calls fn for the rows of r.
func (p *Pebble) Iterate(r Range, fn func(key, value []byte) error) (err error) {
	if err := r.check(); err != nil {
		return err
	}
	p.mu.RLock()
	if p.closed {
		p.mu.RUnlock()
		return ErrClosed
	}
	p.iterators.Add(1)
	defer p.iterators.Done()
	p.iterates.Add(1)
	it, err := p.db.NewIter(&pebble.IterOptions{LowerBound: r.Start, UpperBound: r.End})
	p.mu.RUnlock()
	if err != nil {
		return fmt.Errorf("kv: iterate: %w", err)
	}
	defer func() {
		if cerr := it.Close(); cerr != nil && err == nil {
			err = fmt.Errorf("kv: iterate: %w", p.damaged(cerr))
		}
	}()
	first, next := it.First, it.Next
	if r.Reverse {
		first, next = it.Last, it.Prev
	}
	rows := 0
	for ok := first(); ok && rows < r.Limit; ok = next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("kv: iterate: %w", p.damaged(err))
		}
		if err := fn(it.Key(), value); err != nil {
			return unlessStop(err)
		}
		rows++
	}
	return nil
}

// Metrics returns counters since the store was opened.
func (p *Pebble) Metrics() Metrics {
	m := p.counters.metrics()
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return m
	}
	pm := p.db.Metrics()
	m.DiskBytes = pm.DiskSpaceUsage()
	m.CacheHits, m.CacheMisses = uint64(pm.BlockCache.Hits), uint64(pm.BlockCache.Misses)
	return m
}

// Close waits for running calls, makes everything durable and releases the files.
func (p *Pebble) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	p.closed = true
	p.mu.Unlock()
	p.iterators.Wait()
	// Unsynced batches may still be in a buffer of the log; an empty synced write carries them to the disk.
	syncErr := p.db.LogData(nil, pebble.Sync)
	if err := errors.Join(syncErr, p.db.Close()); err != nil {
		return fmt.Errorf("kv: close: %w", err)
	}
	return nil
}

// pebbleLog passes the store's messages on. Pebble calls Fatalf when its write-ahead log fails; nothing can be
// trusted after that, so the node stops.
type pebbleLog struct{ log *slog.Logger }

func (l pebbleLog) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("store", slog.String("message", fmt.Sprintf(format, args...)))
	}
}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Error("store", slog.String("message", fmt.Sprintf(format, args...)))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	panic("kv: " + fmt.Sprintf(format, args...))
}
