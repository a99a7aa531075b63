package vm

import (
	"bytes"
	"slices"
	"strings"

	"aval/ledger"
)

// View is read access to the state of one height. It has no scan: every list is explicit, paged state.
type View interface {
	// Get returns the value under key; ok is false if there is none. An error means the store failed, not that the key
	// is missing. The value must not be changed.
	Get(key []byte) (value []byte, ok bool, err error)
}

// Write is one change of state. Value is nil for a deletion.
type Write struct {
	Key   []byte
	Value []byte
}

// Change is one changed key with its value before the block (nil if absent) and after it (nil if deleted).
type Change struct {
	Key, Old, New []byte
}

type entry struct {
	key   string
	value []byte // nil if absent
	old   []byte // value in the view, nil if absent
	// record is what value decodes to, a pointer, if somebody asked by Peek since value was set.
	record any
	dirty  bool
	// listed says that the entry is in the journal's written list.
	listed bool
}

type undo struct {
	entry *entry
	value []byte
	dirty bool
}

// entriesChunk is how many entries are allocated at once.
const entriesChunk = 64

// Journal is an overlay over a View that can be taken back to any Mark. It is not safe for concurrent use.
type Journal struct {
	view    View
	entries map[string]*entry
	// written are the entries that were ever put, in the order of their first Put.
	written []*entry
	undos   []undo
	events  []ledger.Event
	err     error
	chunk   []entry // not yet used
}

// NewJournal returns an empty journal over view.
func NewJournal(view View) *Journal { return NewJournalSize(view, 0) }

// NewJournalSize is NewJournal with room for so many keys.
func NewJournalSize(view View, keys int) *Journal {
	return &Journal{view: view, entries: make(map[string]*entry, keys)}
}

// Get returns the value under key as it stands after the writes so far, or nil if there is none. If the store fails,
// Get returns nil and Err the failure; whoever commits must ask Err first.
func (j *Journal) Get(key []byte) []byte { return j.load(key).value }

func (j *Journal) load(key []byte) *entry {
	if e, ok := j.entries[string(key)]; ok {
		return e
	}
	value, ok, err := j.view.Get(key)
	if err != nil && j.err == nil {
		j.err = err
	}
	if !ok || err != nil {
		value = nil
	}
	if len(j.chunk) == 0 {
		j.chunk = make([]entry, entriesChunk)
	}
	e := &j.chunk[0]
	j.chunk = j.chunk[1:]
	e.key, e.value, e.old = string(key), value, value
	j.entries[e.key] = e
	return e
}

// Put sets the value under key. The journal keeps value: it must not be changed afterwards.
func (j *Journal) Put(key, value []byte) {
	e := j.load(key)
	j.undos = append(j.undos, undo{e, e.value, e.dirty})
	e.value, e.record, e.dirty = value, nil, true
	if !e.listed {
		e.listed = true
		j.written = append(j.written, e)
	}
}

// Delete removes key.
func (j *Journal) Delete(key []byte) { j.Put(key, nil) }

// Emit appends an event.
func (j *Journal) Emit(e ledger.Event) { j.events = append(j.events, e) }

// Err returns the first failure of the store. A journal with an error must not be committed.
func (j *Journal) Err() error { return j.err }

// Mark is a point to go back to.
type Mark struct{ undos, events int }

// Mark returns the present point.
func (j *Journal) Mark() Mark { return Mark{len(j.undos), len(j.events)} }

// Revert takes back everything since m.
func (j *Journal) Revert(m Mark) {
	for i := len(j.undos) - 1; i >= m.undos; i-- {
		u := &j.undos[i]
		u.entry.value, u.entry.record, u.entry.dirty = u.value, nil, u.dirty
	}
	j.undos = j.undos[:m.undos]
	j.events = j.events[:m.events]
}

// Settle makes all writes so far final: marks from before are void. It keeps what the journal remembers for going back small.
func (j *Journal) Settle() {
	clear(j.undos)
	j.undos = j.undos[:0]
}

// EventCount returns how many events were emitted and not taken.
func (j *Journal) EventCount() int { return len(j.events) }

// TakeEvents returns the events emitted so far and forgets them.
func (j *Journal) TakeEvents() []ledger.Event {
	events := j.events
	j.events = nil
	return events
}

// Changes returns what differs from the view, sorted by key.
func (j *Journal) Changes() []Change {
	changed, size := make([]*entry, 0, len(j.written)), 0
	for _, e := range j.written {
		if e.dirty && !(bytes.Equal(e.value, e.old) && (e.value == nil) == (e.old == nil)) {
			changed = append(changed, e)
			size += len(e.key)
		}
	}
	slices.SortFunc(changed, func(a, b *entry) int { return strings.Compare(a.key, b.key) })
	out, keys := make([]Change, 0, len(changed)), make([]byte, 0, size)
	for _, e := range changed {
		keys = append(keys, e.key...)
		end := len(keys)
		out = append(out, Change{Key: keys[end-len(e.key) : end : end], Old: e.old, New: e.value})
	}
	return out
}
