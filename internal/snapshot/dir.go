package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"aval/internal/chain"
	"aval/ledger"
	"aval/suite"
)

// Suffix ends the name of a snapshot's file.
const Suffix = ".aval-snapshot"

// partSuffix ends the name of a file that is not complete.
const partSuffix = ".part"

// Dir is a folder of snapshots, one per height. Its methods are safe for concurrent use.
type Dir struct {
	path string

	mu sync.Mutex
	// open is the newest one, nil until it is asked for.
	open *File
}

// At returns a folder of snapshots, to be looked into: who makes them there is another.
func At(path string) *Dir { return &Dir{path: path} }

// OpenDir opens a folder of snapshots, which need not exist yet, and removes what was left unfinished.
func OpenDir(path string) (*Dir, error) {
	left, err := filepath.Glob(filepath.Join(path, "*"+partSuffix))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return At(path), nil
}

// Path returns the path of the snapshot of a height.
func (d *Dir) Path(height ledger.Height) string {
	return filepath.Join(d.path, fmt.Sprintf("%020d", uint64(height))+Suffix)
}

// Heights returns the heights of the snapshots, oldest first.
func (d *Dir) Heights() ([]ledger.Height, error) {
	names, err := os.ReadDir(d.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	var out []ledger.Height
	for _, name := range names {
		if text, ok := strings.CutSuffix(name.Name(), Suffix); ok {
			if h, err := strconv.ParseUint(text, 10, 64); err == nil {
				out = append(out, ledger.Height(h))
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// Create writes the snapshot of a frozen height and returns its path. It replaces one of the same height.
func (d *Dir) Create(ctx context.Context, s suite.Suite, f *chain.Frozen) (string, *Manifest, error) {
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return "", nil, fmt.Errorf("snapshot: %w", err)
	}
	path := d.Path(f.Height())
	m, err := WriteFile(ctx, s, f, path)
	return path, m, err
}

// WriteFile writes the snapshot of a frozen height to a file, which appears once it is complete and durable.
func WriteFile(ctx context.Context, s suite.Suite, f *chain.Frozen, path string) (*Manifest, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "*"+partSuffix)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	m, err := Write(ctx, s, f, file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snapshot: %w", err), os.Remove(file.Name()))
	}
	return m, syncDir(filepath.Dir(path))
}

// syncDir makes names in a folder durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// Keep removes all snapshots but the newest count.
func (d *Dir) Keep(count int) error {
	heights, err := d.Heights()
	if err != nil {
		return err
	}
	for ; len(heights) > count; heights = heights[1:] {
		err = errors.Join(err, os.Remove(d.Path(heights[0])))
	}
	return err
}

// Newest returns the height of the newest snapshot, ErrNone if there is none.
func (d *Dir) Newest() (ledger.Height, error) {
	heights, err := d.Heights()
	if err == nil && len(heights) == 0 {
		err = ErrNone
	}
	if err != nil {
		return 0, err
	}
	return heights[len(heights)-1], nil
}

// Manifest returns the encoded manifest of the snapshot of a height.
func (d *Dir) Manifest(height ledger.Height) (b []byte, err error) {
	err = d.with(height, func(f *File) error {
		b = f.Encoded()
		return nil
	})
	return b, err
}

// Chunk returns a chunk of the snapshot of a height by its hash.
func (d *Dir) Chunk(height ledger.Height, hash suite.Hash) (b []byte, err error) {
	err = d.with(height, func(f *File) error {
		b, err = f.ByHash(hash)
		return err
	})
	return b, err
}

// with runs fn on the snapshot of a height, which stays open for the next.
func (d *Dir) with(height ledger.Height, fn func(f *File) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil || d.open.Manifest().Height != height {
		f, err := OpenFile(d.Path(height))
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w of height %d", ErrNone, height)
		}
		if err != nil {
			return err
		}
		if err := d.closeOpen(); err != nil {
			return errors.Join(err, f.Close())
		}
		d.open = f
	}
	return fn(d.open)
}

func (d *Dir) closeOpen() error {
	if d.open == nil {
		return nil
	}
	f := d.open
	d.open = nil
	return f.Close()
}

// Close closes what is open.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closeOpen()
}
