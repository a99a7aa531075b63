package nodes

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"aval/internal/kv"
)

// disk is what one machine keeps. The stores are on a file system in memory that forgets what was not synced; the engine's log and
// record of votes, which are synced at every write, are files.
type disk struct {
	dir string // of all lives

	mu   sync.Mutex
	rng  *rand.Rand
	mem  *vfs.MemFS
	life int
	// crashAt cuts the power at that write of the stores, counted from now; 0: not. power is then called, once.
	crashAt int
	power   func()
}

func newDisk(dir string, rng *rand.Rand) *disk {
	return &disk{dir: dir, rng: rng, mem: emptyMem()}
}

// emptyMem returns a file system with the folders of the stores, which were made long ago.
func emptyMem() *vfs.MemFS {
	mem := vfs.NewCrashableMem()
	root, err := mem.OpenDir("/")
	for _, name := range []string{"blocks", "state"} {
		err = errors.Join(err, mem.MkdirAll(name, 0o700))
	}
	if err = errors.Join(err, root.Sync(), root.Close()); err != nil {
		panic(err) // memory
	}
	return mem
}

// home is the data directory of the present life.
func (d *disk) home() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return filepath.Join(d.dir, fmt.Sprint(d.life))
}

// open opens the store of blocks of the present life.
func (d *disk) open(cfg kv.PebbleConfig) (kv.Store, error) {
	cfg.FS, cfg.Dir = d.files(), filepath.Base(cfg.Dir) // in memory every life has the same paths
	p, err := kv.OpenPebble(cfg)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// openLog opens the log of the state of the present life.
func (d *disk) openLog(cfg kv.LogConfig) (kv.Store, error) {
	cfg.FS, cfg.Dir = d.files(), filepath.Base(cfg.Dir)
	l, err := kv.OpenLog(cfg)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// files returns the file system of the present life, which counts writes.
func (d *disk) files() vfs.FS {
	d.mu.Lock()
	life, mem := d.life, d.mem
	d.mu.Unlock()
	return errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			d.write(life)
		}
		return nil
	}))
}

// write counts a write of a life.
func (d *disk) write(life int) {
	d.mu.Lock()
	var power func()
	if d.crashAt > 0 && life == d.life {
		if d.crashAt--; d.crashAt == 0 {
			power = d.power
		}
	}
	d.mu.Unlock()
	if power != nil {
		power()
	}
}

// arm cuts the power at the n-th write from now.
func (d *disk) arm(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashAt = n
}

// crash begins another life with what is on the disk at this moment: all that was synced, and keepPercent of what was not. The
// node of the life before must be off the network already; it may go on writing, and nothing of that counts. The engine's files
// are copied first: what the stores have beyond them can as well have come from others.
func (d *disk) crash(keepPercent int) error {
	from := filepath.Join(d.home(), "engine")
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashAt = 0
	d.life++
	to := filepath.Join(d.dir, fmt.Sprint(d.life), "engine")
	if err := copyEngine(from, to); err != nil {
		return err
	}
	d.mem = d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keepPercent, RNG: d.rng})
	return nil
}

// copyEngine copies the log before the record of votes, which is written first: so the copy of the record is the newer.
func copyEngine(from, to string) error {
	if _, err := os.Stat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var votes []string
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // it was removed while we look
			return nil
		}
		rel, rerr := filepath.Rel(from, path)
		if err := errors.Join(err, rerr); err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case rel == votesFile:
			votes = append(votes, rel)
			return nil
		}
		return copyFile(filepath.Join(from, rel), filepath.Join(to, rel))
	})
	for _, rel := range votes {
		err = errors.Join(err, copyFile(filepath.Join(from, rel), filepath.Join(to, rel)))
	}
	return err
}

// votesFile is the engine's record of votes.
const votesFile = "votes"

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

// wipe begins another life with nothing.
func (d *disk) wipe() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.crashAt = 0
	d.life++
	d.mem = emptyMem()
}

// damage is something that happens to a disk while its machine is down.
type damage int

const (
	damageNone damage = iota
	// damageVotes and damageLog lose the engine's record of votes or its log; damageEngine both; damageAll everything.
	damageVotes
	damageLog
	damageEngine
	damageAll
	// damageCut cuts the newest file of the engine's log somewhere, damageFlip flips a bit of it.
	damageCut
	damageFlip
	// damageStore flips a bit in some file of the stores.
	damageStore
	damageKinds
)

func (k damage) String() string {
	return [...]string{"none", "votes lost", "log lost", "engine lost", "all lost", "log cut", "bit flipped in the log", "bit flipped in a store"}[k]
}

// suffer does damage. It is done to a machine that is down.
func (d *disk) suffer(k damage) error {
	if k == damageAll {
		d.wipe()
		return nil
	}
	engine := filepath.Join(d.home(), "engine")
	logs, err := filepath.Glob(filepath.Join(engine, "log-*"))
	if err != nil {
		return err
	}
	switch k {
	case damageVotes:
		err = os.RemoveAll(filepath.Join(engine, votesFile))
	case damageLog:
		for _, dir := range logs {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	case damageEngine:
		err = os.RemoveAll(engine)
	case damageCut, damageFlip:
		err = d.sufferLog(k, engine)
	case damageStore:
		err = d.flipStore()
	}
	return err
}

func (d *disk) sufferLog(k damage, engine string) error {
	files, err := filepath.Glob(filepath.Join(engine, "log-*", "*.wal"))
	if err != nil || len(files) == 0 {
		return err
	}
	last := slices.Max(files)
	b, err := os.ReadFile(last)
	if err != nil || len(b) == 0 {
		return err
	}
	d.mu.Lock()
	at := d.rng.IntN(len(b))
	d.mu.Unlock()
	if k == damageCut {
		b = b[:at]
	} else {
		b[at] ^= 1 << (at % 8)
	}
	return os.WriteFile(last, b, 0o600)
}

// flipStore flips one bit in one file of the stores.
func (d *disk) flipStore() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var files []string
	for _, store := range []string{"blocks", "state"} {
		names, err := d.mem.List(store)
		if err != nil {
			return err
		}
		for _, name := range names {
			if info, err := d.mem.Stat(d.mem.PathJoin(store, name)); err == nil && !info.IsDir() && info.Size() > 0 {
				files = append(files, d.mem.PathJoin(store, name))
			}
		}
	}
	slices.Sort(files)
	if len(files) == 0 {
		return nil
	}
	name := files[d.rng.IntN(len(files))]
	file, err := d.mem.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	at, bit := d.rng.Int64N(info.Size()), make([]byte, 1)
	if _, err := file.ReadAt(bit, at); err != nil {
		return errors.Join(err, file.Close())
	}
	bit[0] ^= 1 << (at % 8)
	_, err = file.WriteAt(bit, at)
	return errors.Join(err, file.Sync(), file.Close())
}
