package bench

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"aval/internal/chain"
	"aval/internal/clock"
	"aval/internal/genesis"
	"aval/internal/kv"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// books is what one node's ledger says, read from its disk after it stopped.
type books struct {
	head ledger.Height
	hash suite.Hash
	// receipts counts those of transactions that took effect, failed those of others.
	receipts, failed int64
	lines            []string
}

// count reads the ledgers of stopped nodes and checks their books.
func count(f *genesis.Network, homes []string, check func(j *vm.Journal) ([]string, error)) ([]books, error) {
	out, errs := make([]books, len(homes)), make([]error, len(homes))
	var wg sync.WaitGroup
	for i, home := range homes {
		wg.Go(func() {
			if out[i], errs[i] = countOne(f, home, check); errs[i] != nil {
				errs[i] = fmt.Errorf("ledger of %s: %w", filepath.Base(home), errs[i])
			}
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

func countOne(f *genesis.Network, home string, check func(j *vm.Journal) ([]string, error)) (b books, err error) {
	blocks, err := kv.OpenPebble(kv.PebbleConfig{Dir: filepath.Join(home, "data", "blocks"), CacheBytes: 32 << 20})
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, blocks.Close()) }()
	state, err := kv.OpenLog(kv.LogConfig{Dir: filepath.Join(home, "data", "state")})
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	broken := make(chan error, 1)
	c, err := chain.Open(chain.Config{Genesis: f.Genesis, Suite: f.Suite, Blocks: blocks, State: state, Clock: clock.Real(), Logger: slog.New(slog.DiscardHandler),
		OnBroken: func(err error) { broken <- err }})
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	head := c.Head()
	b.head, b.hash = head.Header.Height, head.Header.Hash(f.Suite)
	for h := ledger.Height(1); h <= b.head; h++ {
		receipts, err := c.Receipts(h)
		if err != nil {
			return b, err
		}
		b.add(receipts)
	}
	err = c.Read(func(j *vm.Journal, _ chain.At) error {
		b.lines, err = check(j)
		return err
	})
	return b, err
}

func (b *books) add(receipts []ledger.Receipt) {
	for i := range receipts {
		switch {
		case receipts[i].Boundary:
		case receipts[i].Code == ledger.CodeOK:
			b.receipts++
		default:
			b.failed++
		}
	}
}

// agree compares what the nodes' ledgers say with each other and with what was acknowledged; between acknowledged and
// acknowledged + unknown transactions must have a receipt.
func agree(all []books, acknowledged, unknown int64) error {
	var errs []error
	for i := range all {
		b := &all[i]
		if b.receipts < acknowledged || b.receipts > acknowledged+unknown {
			errs = append(errs, fmt.Errorf("ledger %d: %d receipts of transactions that took effect, %d were acknowledged", i, b.receipts, acknowledged))
		}
		if b.head == all[0].head && b.hash != all[0].hash {
			errs = append(errs, fmt.Errorf("ledgers 0 and %d have different blocks at height %d", i, b.head))
		}
	}
	return errors.Join(errs...)
}
