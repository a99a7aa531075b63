package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"aval/codec"
	"aval/internal/chain"
	"aval/internal/kv"
	"aval/internal/snapshot"
	"aval/ledger"
	"aval/suite"
)

// What stands in a backup.
const (
	// BackupFile is the list of a backup's files, without which it is none.
	BackupFile = "backup.cbor"
	// BackupHome is the folder of the files of the home.
	BackupHome = "home"
	// backupState is the state, as a snapshot; the blocks are a copy of the store.
	backupState = "state" + snapshot.Suffix
	// backupVersion is that of the form of a backup.
	backupVersion = 1
	// backupFilesMax bounds the files of a backup, backupListBytesMax the list.
	backupFilesMax     = codec.ElementsMax
	backupListBytesMax = 32 << 20
	// pathBytesMax bounds a path in a backup.
	pathBytesMax = 1 << 10
)

// domainBackup is the domain under which pieces of files are hashed.
const domainBackup suite.Domain = "backup file"

// BackupData says what of a node's data a backup has.
type BackupData struct {
	// Height is the height whose state is in it, Root its state root. The blocks go on to Committed at least.
	Height    ledger.Height `json:"height"`
	Root      string        `json:"root"`
	Committed ledger.Height `json:"committed"`
}

// Backup is the list in a backup.
type Backup struct {
	Version   uint8         `cbor:"1,keyasint" json:"version"`
	Network   suite.Hash    `cbor:"2,keyasint" json:"network"`
	Node      string        `cbor:"3,keyasint" json:"node"`
	Height    ledger.Height `cbor:"4,keyasint" json:"height"`
	Root      string        `cbor:"5,keyasint" json:"root"`
	Committed ledger.Height `cbor:"6,keyasint" json:"committed"`
	// Keys says that private keys are in it, encrypted as they are in the home.
	Keys  bool         `cbor:"7,keyasint" json:"keys"`
	Files []BackedFile `cbor:"8,keyasint" json:"-"`
}

// BackedFile is one file of a backup.
type BackedFile struct {
	// Path is relative to the backup, with slashes.
	Path  string     `cbor:"1,keyasint"`
	Bytes uint64     `cbor:"2,keyasint"`
	Hash  suite.Hash `cbor:"3,keyasint"`
}

// ErrBackup reports a backup that is incomplete, damaged, or none.
var ErrBackup = errors.New("node: not a valid backup")

// HomeFile is a file of a home that goes into a backup: From is where it is, Name its path below the home.
type HomeFile struct{ From, Name string }

// MakeBackup writes a backup of a node, running or not, to a folder that it makes: blocks and state as of one moment, and the files
// given. The engine's record of votes is never in a backup: a validator that is restored observes before it votes.
func MakeBackup(ctx context.Context, cfg Config, dir string, files []HomeFile, keys bool) (*Backup, error) {
	cfg.setDefaults()
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("node: backup: %w; choose a folder that does not exist yet", err)
	}
	answer, err := ask(ctx, cfg.DataDir, controlBackup, controlRequest{Dir: dir})
	var data *BackupData
	switch {
	case err == nil:
		data = answer.Backup
	case errors.Is(err, ErrNotRunning):
		err = Offline(ctx, cfg, func(n *Node) error {
			data, err = n.backup(ctx, dir)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := copyFile(f.From, filepath.Join(dir, BackupHome, filepath.FromSlash(f.Name)), nil); err != nil {
			return nil, fmt.Errorf("node: backup: %w", err)
		}
	}
	b := &Backup{Version: backupVersion, Network: cfg.Genesis.NetworkID(cfg.Suite), Node: cfg.Name, Height: data.Height, Root: data.Root,
		Committed: data.Committed, Keys: keys}
	return b, b.write(ctx, cfg.Suite, dir)
}

// backup writes a node's data: first the state of a certified height, then the blocks, which go beyond it.
func (n *Node) backup(ctx context.Context, dir string) (*BackupData, error) {
	store, ok := n.blocks.(kv.Checkpointer)
	if !ok {
		return nil, errors.New("node: this kind of store cannot be backed up")
	}
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("node: backup: %q is not an absolute path", dir)
	}
	f, err := n.chain.Freeze()
	if err != nil {
		return nil, busy(err)
	}
	defer f.Release()
	if err := f.Settle(ctx); err != nil {
		return nil, err
	}
	m, err := snapshot.WriteFile(ctx, n.cfg.Suite, f, filepath.Join(dir, backupState))
	if err != nil {
		return nil, err
	}
	p, _ := n.chain.Progress()
	if err := store.Checkpoint(filepath.Join(dir, blocksDir)); err != nil {
		return nil, err
	}
	return &BackupData{Height: m.Height, Root: m.Header.StateRoot.String(), Committed: p.Committed}, nil
}

// write hashes the files in a backup's folder and lists them; with that the backup is complete.
func (b *Backup) write(ctx context.Context, s suite.Suite, dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		n, h, err := hashFile(s, path)
		b.Files = append(b.Files, BackedFile{Path: filepath.ToSlash(name), Bytes: n, Hash: h})
		return err
	})
	if err == nil && len(b.Files) > backupFilesMax {
		err = fmt.Errorf("%d files, the most is %d", len(b.Files), backupFilesMax)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, BackupFile), codec.MustMarshal(b), 0o600)
	}
	if err == nil {
		err = syncTree(dir)
	}
	if err != nil {
		return fmt.Errorf("node: backup: %w", err)
	}
	return nil
}

// ReadBackup reads the list of a backup and checks its form.
func ReadBackup(dir string) (*Backup, error) {
	f, err := os.Open(filepath.Join(dir, BackupFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s has no %s: the backup was not finished, or this is none", ErrBackup, dir, BackupFile)
	}
	if err != nil {
		return nil, fmt.Errorf("node: backup: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	raw, err := io.ReadAll(io.LimitReader(f, backupListBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("node: backup: %w", err)
	}
	return DecodeBackup(raw)
}

// DecodeBackup strictly decodes the list of a backup and checks its form.
func DecodeBackup(raw []byte) (*Backup, error) {
	if len(raw) > backupListBytesMax {
		return nil, fmt.Errorf("%w: the list has more than %d bytes", ErrBackup, backupListBytesMax)
	}
	var b Backup
	if err := codec.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	if b.Version != backupVersion {
		return nil, fmt.Errorf("%w: version %d is not %d", ErrBackup, b.Version, backupVersion)
	}
	for i := range b.Files {
		p := b.Files[i].Path
		if len(p) > pathBytesMax || !filepath.IsLocal(filepath.FromSlash(p)) {
			return nil, fmt.Errorf("%w: it has a file %q", ErrBackup, p)
		}
	}
	return &b, nil
}

// RestoreBackup restores the data of a node that is not running from a backup, every file of which is compared with the list. The
// state is verified against the genesis like any snapshot. With replace, what is in the data directory is lost, the engine's log aside.
func RestoreBackup(ctx context.Context, cfg Config, dir string, replace bool) (*Restored, error) {
	cfg.setDefaults()
	b, err := ReadBackup(dir)
	if err != nil {
		return nil, err
	}
	if network := cfg.Genesis.NetworkID(cfg.Suite); b.Network != network {
		return nil, fmt.Errorf("%w: of network %s, this is %s", snapshot.ErrNetwork, b.Network, network)
	}
	if !slices.ContainsFunc(b.Files, func(f BackedFile) bool { return f.Path == backupState }) {
		return nil, fmt.Errorf("%w: it has no state", ErrBackup)
	}
	return cfg.restore(ctx, replace, func(to string) error {
		for i := range b.Files {
			f := &b.Files[i]
			target := ""
			if first, _, below := cutPath(f.Path); below && first == blocksDir {
				target = filepath.Join(to, filepath.FromSlash(f.Path))
			}
			if err := errors.Join(ctx.Err(), copyChecked(cfg.Suite, filepath.Join(dir, filepath.FromSlash(f.Path)), target, f)); err != nil {
				return err
			}
		}
		src, err := snapshot.OpenFile(filepath.Join(dir, backupState))
		if err != nil {
			return err
		}
		err = cfg.withStores(to, func(c chain.Config) error { return snapshot.RestoreState(ctx, c, src) })
		return errors.Join(err, src.Close())
	})
}

// RestoreHome copies the files of the home from a backup to a home, whose files it does not overwrite, and returns their names.
func RestoreHome(s suite.Suite, dir, home string) (names []string, err error) {
	b, err := ReadBackup(dir)
	if err != nil {
		return nil, err
	}
	for i := range b.Files {
		f := &b.Files[i]
		first, name, below := cutPath(f.Path)
		if !below || first != BackupHome {
			continue
		}
		target := filepath.Join(home, filepath.FromSlash(name))
		if _, err := os.Stat(target); err == nil {
			continue
		}
		if err := copyChecked(s, filepath.Join(dir, filepath.FromSlash(f.Path)), target, f); err != nil {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}

// cutPath cuts a path with slashes after its first element.
func cutPath(p string) (first, rest string, below bool) {
	for i := range len(p) {
		if p[i] == '/' {
			return p[:i], p[i+1:], true
		}
	}
	return p, "", false
}

// pieceBytes is how much of a file is hashed at once.
const pieceBytes = 1 << 20

// fileHasher hashes what is written to it piece by piece: each hash covers the one before, the piece, and nothing else.
type fileHasher struct {
	suite suite.Suite
	sum   suite.Hash
	piece []byte
	bytes uint64
}

// Write takes bytes; it never fails.
func (h *fileHasher) Write(b []byte) (int, error) {
	h.bytes += uint64(len(b))
	for rest := b; len(rest) > 0; {
		n := min(len(rest), pieceBytes-len(h.piece))
		h.piece = append(h.piece, rest[:n]...)
		if rest = rest[n:]; len(h.piece) == pieceBytes {
			h.close()
		}
	}
	return len(b), nil
}

func (h *fileHasher) close() {
	h.sum = h.suite.Hash(domainBackup, h.sum[:], h.piece)
	h.piece = h.piece[:0]
}

var _ io.Writer = (*fileHasher)(nil)

func hashFile(s suite.Suite, path string) (uint64, suite.Hash, error) {
	h := &fileHasher{suite: s}
	err := copyFile(path, "", h)
	h.close()
	return h.bytes, h.sum, err
}

// copyChecked copies a file, to nowhere if to is empty, and compares it with the list.
func copyChecked(s suite.Suite, from, to string, want *BackedFile) error {
	h := &fileHasher{suite: s}
	err := copyFile(from, to, h)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing", ErrBackup, want.Path)
	}
	if err != nil {
		return fmt.Errorf("node: restore: %w", err)
	}
	if h.close(); h.bytes != want.Bytes || h.sum != want.Hash {
		return fmt.Errorf("%w: %s is damaged", ErrBackup, want.Path)
	}
	return nil
}

// copyFile copies a file durably, to nowhere if to is empty, and to also besides unless it is nil.
func copyFile(from, to string, also *fileHasher) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // read only
	outs := []io.Writer{io.Discard}
	if also != nil {
		outs = append(outs, also)
	}
	if to == "" {
		_, err = io.Copy(io.MultiWriter(outs...), in)
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.MultiWriter(append(outs, f)...), in)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncTree makes all files and names below a folder durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return syncDir(path) // opens and syncs whatever it is
	})
}
