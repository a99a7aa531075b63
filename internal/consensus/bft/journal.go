package bft

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
	"github.com/hyperledger-labs/SmartBFT/pkg/wal"
	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"
)

// Sizes of the kernel's log: a file is begun anew after journalFileBytes; every append takes a buffer of
// journalBufferBytes (the library's default of 1 MiB is all garbage).
const (
	journalFileBytes   = 16 << 20
	journalBufferBytes = 8 << 10
)

// journal is the kernel's log of one epoch on disk. Its methods are safe for concurrent use.
type journal struct {
	mu     sync.Mutex
	file   *wal.WriteAheadLogFile
	closed bool
}

// journalDir returns the folder of an epoch's log.
func journalDir(dir string, epoch uint64) string {
	return filepath.Join(dir, "log-"+strconv.FormatUint(epoch, 10))
}

// openJournal opens or creates the log in dir and returns its records. A last record that was cut short by a crash is
// dropped: nothing was sent on its account. existed tells whether there was a log.
func openJournal(dir string, log *kernelLog) (j *journal, entries [][]byte, existed bool, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil {
		return nil, nil, false, fmt.Errorf("bft: %w", err)
	}
	options := &wal.Options{FileSizeBytes: journalFileBytes, BufferSizeBytes: journalBufferBytes}
	file, entries, err := wal.InitializeAndReadAll(log, dir, options)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// The last file ends before its first record: the crash came while it was being made.
		if err = wal.Repair(log, dir); err == nil {
			file, entries, err = wal.InitializeAndReadAll(log, dir, options)
		}
	}
	if err != nil {
		return nil, nil, len(names) > 0, fmt.Errorf("%w: %w", errLogDamaged, err)
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return nil, nil, len(names) > 0, errors.Join(err, file.Close())
	}
	return &journal{file: file}, entries, len(names) > 0, nil
}

// Append implements the kernel's log.
func (j *journal) Append(entry []byte, truncate bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return os.ErrClosed
	}
	return j.file.Append(entry, truncate)
}

// takeUp records that this validator is about to vote for a proposal that a view change took up.
func (j *journal) takeUp(p types.Proposal) error { return j.Append(encodeOwnRecord(p), false) }

// leave records that this validator joins a view change that the kernel missed the beginning of.
func (j *journal) leave(change *smartbftprotos.ViewChange) error {
	b, err := proto.Marshal(&smartbftprotos.SavedMessage{Content: &smartbftprotos.SavedMessage_ViewChange{ViewChange: change}})
	if err != nil {
		return fmt.Errorf("bft: %w", err)
	}
	return j.Append(b, false)
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	return j.file.Close()
}

// setAside moves a damaged log out of the way and keeps the newest for whoever wants to know what happened.
func setAside(dir string, epoch uint64) error {
	from := journalDir(dir, epoch)
	to := from + ".damaged"
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("bft: %w", err)
	}
	if err := errors.Join(os.Rename(from, to), syncDir(dir)); err != nil {
		return fmt.Errorf("bft: set the damaged log aside: %w", err)
	}
	return nil
}

// dropOld removes the logs of epochs before epoch.
func dropOld(dir string, epoch uint64) error {
	names, err := filepath.Glob(filepath.Join(dir, "log-*"))
	if err != nil {
		return fmt.Errorf("bft: %w", err)
	}
	for _, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(name), "log-"), ".")
		if n, err := strconv.ParseUint(number, 10, 64); err == nil && n < epoch {
			if err := os.RemoveAll(name); err != nil {
				return fmt.Errorf("bft: %w", err)
			}
		}
	}
	return nil
}
