package vm

import (
	"slices"

	"aval/codec"
	"aval/internal/invariant"
	"aval/ledger"
)

// Load decodes the record under key. ok is false if there is none. A record that does not decode is a broken
// invariant: only this program writes state.
func Load[T any](j *Journal, key []byte) (record T, ok bool) {
	value := j.Get(key)
	if value == nil {
		return record, false
	}
	decode(key, value, &record)
	return record, true
}

func decode(key, value []byte, record any) {
	if err := codec.Unmarshal(value, record); err != nil {
		invariant.Check(false, "state record %x: %v", key, err)
	}
}

// Peek is Load for those who only look: the record is shared with whoever peeks next, so nothing in it may be changed. It is nil if
// there is none.
func Peek[T any](j *Journal, key []byte) *T {
	e := j.load(key)
	if record, ok := e.record.(*T); ok {
		return record
	}
	if e.value == nil {
		return nil
	}
	record := new(T)
	decode(key, e.value, record)
	e.record = record
	return record
}

// Store encodes record under key.
func Store[T any](j *Journal, key []byte, record *T) {
	value := codec.MustMarshal(record)
	if len(value) > ledger.StateValueBytesMax {
		invariant.Check(false, "state record %x has %d bytes", key, len(value))
	}
	j.Put(key, value)
}

// Append puts item at the end of the list name and returns its slot.
func Append(j *Journal, name ledger.ListName, item []byte) (slot uint64) {
	head, _ := Load[ledger.ListHead](j, ledger.ListHeadKey(name))
	slot = head.Count
	key := ledger.ListPageKey(name, slot/ledger.ListPageItems)
	if page := j.Get(key); page == nil {
		Store(j, key, &ledger.ListPage{Items: [][]byte{item}})
	} else {
		grown, ok := codec.AppendBytes(page, item)
		if !ok || len(grown) > ledger.StateValueBytesMax {
			invariant.Check(false, "page %x of a list does not take %d bytes more", key, len(item))
		}
		j.Put(key, grown)
	}
	head.Count++
	Store(j, ledger.ListHeadKey(name), &head)
	return slot
}

// Remove takes the item at slot out of the list name by moving the last item there. It returns the item that moved,
// or nil if the removed one was the last; whoever keeps slots must set the moved item's to slot.
func Remove(j *Journal, name ledger.ListName, slot uint64) (moved []byte) {
	head, _ := Load[ledger.ListHead](j, ledger.ListHeadKey(name))
	invariant.Check(slot < head.Count, "list %x has no slot %d of %d", []byte(name), slot, head.Count)
	last := head.Count - 1
	lastKey := ledger.ListPageKey(name, last/ledger.ListPageItems)
	lastPage, _ := Load[ledger.ListPage](j, lastKey)
	item := lastPage.Items[len(lastPage.Items)-1]
	lastPage.Items = lastPage.Items[:len(lastPage.Items)-1]
	if len(lastPage.Items) == 0 {
		j.Delete(lastKey)
	} else {
		Store(j, lastKey, &lastPage)
	}
	head.Count = last
	Store(j, ledger.ListHeadKey(name), &head)
	if slot == last {
		return nil
	}
	key := ledger.ListPageKey(name, slot/ledger.ListPageItems)
	page, _ := Load[ledger.ListPage](j, key)
	page.Items[slot%ledger.ListPageItems] = item
	Store(j, key, &page)
	return item
}

// Count returns how many items the list name has.
func Count(j *Journal, name ledger.ListName) uint64 {
	if head := Peek[ledger.ListHead](j, ledger.ListHeadKey(name)); head != nil {
		return head.Count
	}
	return 0
}

// Item returns the item at slot, or nil if there is none.
func Item(j *Journal, name ledger.ListName, slot uint64) []byte {
	page := Peek[ledger.ListPage](j, ledger.ListPageKey(name, slot/ledger.ListPageItems))
	if i := slot % ledger.ListPageItems; page != nil && i < uint64(len(page.Items)) {
		return slices.Clone(page.Items[i])
	}
	return nil
}
