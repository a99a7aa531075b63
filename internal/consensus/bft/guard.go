package bft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// ErrEquivocation reports that this validator was about to vote for two headers in one place, or in a place it may not
// vote in any more. Nothing was signed.
var ErrEquivocation = errors.New("bft: refused to vote twice for one epoch, view and height")

// errGuardDamaged reports a record of votes that cannot be read.
var errGuardDamaged = errors.New("bft: the record of votes is damaged")

// The file has two slots that are written in turn, so that a write cut short leaves the one before.
const (
	guardSlotBytes = 8 << 10
	guardVotesMax  = 64
	guardVersion   = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// guardVote is one vote: the header signed in a view.
type guardVote struct {
	View   uint64     `cbor:"1,keyasint"`
	Header suite.Hash `cbor:"2,keyasint"`
}

// guardState is what the guard remembers.
type guardState struct {
	Version uint8 `cbor:"1,keyasint"`
	// Serial counts writes; the slot with the higher one is the newer.
	Serial uint64 `cbor:"2,keyasint"`
	// Logged is one more than the newest epoch for which a log exists; 0: none.
	Logged uint64 `cbor:"3,keyasint"`
	// ObserveUntil is the height before which nothing may be signed; 0: none.
	ObserveUntil ledger.Height `cbor:"4,keyasint"`
	// Epoch and Height are those of Votes, the newest place that was voted in. Votes are in the order of signing.
	Epoch  uint64        `cbor:"5,keyasint"`
	Height ledger.Height `cbor:"6,keyasint"`
	Votes  []guardVote   `cbor:"7,keyasint"`
	// Floor is the lowest view that may be voted in at Height: lower ones were forgotten.
	Floor uint64 `cbor:"8,keyasint"`
}

// guard is the durable record of votes. A vote is in it before its signature exists.
// Its methods are safe for concurrent use.
type guard struct {
	mu    sync.Mutex
	file  *os.File
	state guardState
}

// openGuard opens the record in dir, creating it if there is none; fresh tells which. A record that cannot be read is
// replaced by an empty one and reported with errGuardDamaged beside a usable guard.
func openGuard(dir string) (g *guard, fresh bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("bft: %w", err)
	}
	path := filepath.Join(dir, "votes")
	file, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		g, err = createGuard(path)
		return g, true, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("bft: open the record of votes: %w", err)
	}
	g = &guard{file: file}
	found := false
	for slot := range int64(2) {
		if s, ok := readSlot(file, slot); ok && (!found || s.Serial > g.state.Serial) {
			g.state, found = s, true
		}
	}
	if found {
		return g, false, nil
	}
	g.state = guardState{Version: guardVersion}
	if err := g.write(); err != nil {
		return nil, false, errors.Join(err, file.Close())
	}
	return g, false, errGuardDamaged
}

func createGuard(path string) (*guard, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("bft: create the record of votes: %w", err)
	}
	g := &guard{file: file, state: guardState{Version: guardVersion}}
	if err := errors.Join(file.Truncate(2*guardSlotBytes), g.write(), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return g, nil
}

func readSlot(file *os.File, slot int64) (guardState, bool) {
	buf := make([]byte, guardSlotBytes)
	if _, err := file.ReadAt(buf, slot*guardSlotBytes); err != nil {
		return guardState{}, false
	}
	n := binary.BigEndian.Uint32(buf)
	if n == 0 || n > guardSlotBytes-8 || crc32.Checksum(buf[8:8+n], castagnoli) != binary.BigEndian.Uint32(buf[4:]) {
		return guardState{}, false
	}
	var s guardState
	if err := codec.Unmarshal(buf[8:8+n], &s); err != nil || s.Version != guardVersion {
		return guardState{}, false
	}
	return s, true
}

// write makes the state durable in the slot that is not the newest. The caller holds mu or is alone.
func (g *guard) write() error {
	g.state.Serial++
	body, err := codec.Marshal(&g.state)
	if err != nil {
		return fmt.Errorf("bft: record of votes: %w", err)
	}
	if len(body) > guardSlotBytes-8 {
		return fmt.Errorf("bft: the record of votes has %d bytes", len(body))
	}
	buf := make([]byte, 8, guardSlotBytes)
	binary.BigEndian.PutUint32(buf, uint32(len(body)))
	binary.BigEndian.PutUint32(buf[4:], crc32.Checksum(body, castagnoli))
	if _, err := g.file.WriteAt(append(buf, body...), int64(g.state.Serial%2)*guardSlotBytes); err != nil {
		return fmt.Errorf("bft: write the record of votes: %w", err)
	}
	if err := g.file.Sync(); err != nil {
		return fmt.Errorf("bft: write the record of votes: %w", err)
	}
	return nil
}

// update changes the state durably, or not at all.
func (g *guard) update(change func(*guardState)) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.apply(change)
}

// apply is update for a caller that holds mu.
func (g *guard) apply(change func(*guardState)) error {
	before := g.state
	change(&g.state)
	if err := g.write(); err != nil {
		serial := g.state.Serial // what reached the disk is unknown: never use its number again
		g.state = before
		g.state.Serial = serial
		return err
	}
	return nil
}

// permit records a vote durably. It returns nil if this validator may sign the header: it has signed no other in this
// epoch, view and height, and nothing in a later place.
func (g *guard) permit(epoch uint64, height ledger.Height, view uint64, header suite.Hash) error {
	refuse := func(why string) error {
		return fmt.Errorf("%w: epoch %d, view %d, height %d: %s", ErrEquivocation, epoch, view, height, why)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.state
	switch {
	case s.ObserveUntil != 0:
		return refuse(fmt.Sprintf("observing until height %d", s.ObserveUntil))
	case epoch < s.Epoch || epoch == s.Epoch && height < s.Height:
		return refuse(fmt.Sprintf("already voted at height %d", s.Height))
	case epoch == s.Epoch && height == s.Height:
		for _, v := range s.Votes {
			if v.View == view && v.Header == header {
				return nil
			}
			if v.View == view {
				return refuse(fmt.Sprintf("voted for %s, not for %s", v.Header, header))
			}
		}
		if view < s.Floor {
			return refuse("too many views at this height")
		}
	}
	return g.apply(func(s *guardState) { s.add(epoch, height, guardVote{View: view, Header: header}) })
}

func (s *guardState) add(epoch uint64, height ledger.Height, v guardVote) {
	var votes []guardVote
	if epoch == s.Epoch && height == s.Height {
		votes = s.Votes
	} else {
		s.Epoch, s.Height, s.Floor = epoch, height, 0
	}
	if len(votes) == guardVotesMax {
		s.Floor = max(s.Floor, votes[0].View+1)
		votes = votes[1:]
	}
	s.Votes = slices.Concat(votes, []guardVote{v})
}

// current returns a copy of the state. Its votes must not be changed.
func (g *guard) current() guardState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// close closes the file.
func (g *guard) close() error { return g.file.Close() }

// syncDir makes a new or renamed entry of a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
