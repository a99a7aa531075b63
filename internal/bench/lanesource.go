package bench

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// laneSource hands out lanes whose next step may be submitted. Its methods are safe for concurrent use.
type laneSource struct {
	mu     sync.Mutex
	wake   *sync.Cond
	reader laneReader
	// ready are lanes that were begun and whose last step took effect, first come first served.
	ready []*lane
	// out is how many lanes are under way, read how many were read to be handed out.
	out    int
	read   int
	ended  bool // no more lanes stand in the files
	closed bool
}

// take returns up to n lanes, going on with those that were begun. If only lanes under way are left it waits for one of them.
// It returns none once there is nothing left or the source is closed.
func (s *laneSource) take(n int) ([]*lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		lanes, err := s.pick(n)
		if len(lanes) > 0 || err != nil || s.closed || s.out == 0 {
			return lanes, err
		}
		s.wake.Wait()
	}
}

// takeNow is take without waiting. Its error is io.EOF once nothing is left.
func (s *laneSource) takeNow(n int) ([]*lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lanes, err := s.pick(n)
	if len(lanes) == 0 && err == nil && (s.closed || s.ended && s.out == 0) {
		err = io.EOF
	}
	return lanes, err
}

// pick returns up to n lanes that are there. The caller holds mu.
func (s *laneSource) pick(n int) ([]*lane, error) {
	if s.closed {
		return nil, nil
	}
	begun := min(n, len(s.ready))
	lanes := append([]*lane(nil), s.ready[:begun]...)
	s.ready = s.ready[begun:]
	for len(lanes) < n && !s.ended {
		l, err := s.reader.read()
		if errors.Is(err, io.EOF) {
			s.ended = true
			break
		}
		if err != nil {
			return nil, err
		}
		s.read++
		lanes = append(lanes, l)
	}
	s.out += len(lanes)
	return lanes, nil
}

// skip passes over the first n lanes of the files.
func (s *laneSource) skip(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		if _, err := s.reader.read(); err != nil {
			return fmt.Errorf("load: pass over %d transactions: %w", n, err)
		}
	}
	return nil
}

// advance takes lanes back whose step took effect.
func (s *laneSource) advance(lanes []*lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out -= len(lanes)
	for _, l := range lanes {
		if l.next++; l.next < len(l.txs) {
			s.ready = append(s.ready, l)
		}
	}
	s.wake.Broadcast()
}

// drop forgets n lanes that were under way.
func (s *laneSource) drop(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out -= n
	s.wake.Broadcast()
}

// close hands out no more.
func (s *laneSource) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.wake.Broadcast()
}
