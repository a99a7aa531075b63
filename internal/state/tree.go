package state

import (
	"sync"
	"unsafe"

	"aval/merkle"
	"aval/suite"
)

// parallelMin is the least number of hashes that is worth another goroutine.
const parallelMin = 256

// tree holds the trees of the newest heights. One goroutine at a time may change it; published nodes do not change.
type tree struct {
	memory  *memory
	nodes   *arena[node]
	leaves  *arena[leaf]
	workers []*worker
	// edit is the change being made.
	edit edit
}

// worker is what one goroutine hashes with. Its fields hold up to packMax of what is hashed together.
type worker struct {
	*merkle.Hasher
	packed []byte
	hashes []suite.Hash
	raw    [][]byte
	leaves []merkle.Leaf
	live   []int // which of leaves have a value
}

// packMax is how many messages are hashed in one call.
const packMax = 64

func newTree(s suite.Suite, workers int) *tree {
	m := new(memory)
	t := &tree{memory: m, nodes: newArena[node](m), leaves: newArena[leaf](m)}
	for range workers {
		t.workers = append(t.workers, &worker{Hasher: merkle.NewHasher(s),
			packed: make([]byte, 0, packMax*merkle.InnerBytes), hashes: make([]suite.Hash, packMax),
			raw: make([][]byte, 0, packMax), leaves: make([]merkle.Leaf, 0, packMax), live: make([]int, 0, packMax)})
	}
	return t
}

// keys sets out[i] to the place of the raw key key(i), from and to being the first and the end.
func (w *worker) keys(from, to int, key func(i int) []byte, out []suite.Hash) {
	for ; from < to; from += packMax {
		end, raw := min(from+packMax, to), w.raw[:0]
		for i := from; i < end; i++ {
			raw = append(raw, key(i))
		}
		w.Keys(raw, out[from:end])
		clear(raw) // nothing is kept
	}
}

// leafHashes sets out[i] to the hash of the leaf that get(i) returns, with the hash of its value unless it is deleted.
func (w *worker) leafHashes(from, to int, get func(i int) (l merkle.Leaf, value []byte, deleted bool), out []suite.Hash) {
	for ; from < to; from += packMax {
		end, raw, leaves, live, packed := min(from+packMax, to), w.raw[:0], w.leaves[:0], w.live[:0], w.packed[:0]
		for i := from; i < end; i++ {
			l, value, deleted := get(i)
			if !deleted {
				raw, live = append(raw, value), append(live, len(leaves))
			}
			leaves = append(leaves, l)
		}
		values := w.hashes[:len(raw)]
		w.Values(raw, values)
		clear(raw)
		for i, at := range live {
			leaves[at].Value = values[i]
		}
		for i := range leaves {
			packed = merkle.AppendLeaf(packed, &leaves[i])
		}
		w.SumMany(merkle.LeafBytes, packed, out[from:end])
	}
}

// memoryBytes is what nodes and leaves in use take.
func (t *tree) memoryBytes() uint64 {
	return uint64(t.nodes.live())*uint64(unsafe.Sizeof(node{})) + uint64(t.leaves.live())*uint64(unsafe.Sizeof(leaf{}))
}

// parallel calls fn for consecutive parts of n items, on several goroutines if there are many. What fn computes for an
// item must not depend on the parts.
func (t *tree) parallel(n int, fn func(w *worker, from, to int)) {
	parts := min(len(t.workers), max(1, n/parallelMin))
	if parts == 1 {
		fn(t.workers[0], 0, n)
		return
	}
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { fn(t.workers[i], n*i/parts, n*(i+1)/parts) })
	}
	wg.Wait()
}

// find returns the leaf of key below root, 0 if there is none.
func (t *tree) find(root ref, key *suite.Hash) ref {
	r := root
	for depth := 0; r != 0; depth++ {
		if r.isLeaf() {
			if t.leaves.at(r.index()).key == *key {
				return r
			}
			return 0
		}
		r = t.nodes.at(r.index()).child[merkle.Digit(key, depth)]
	}
	return 0
}

// change is one key's part in an edit: leaf is its new leaf, 0 to remove it.
type change struct {
	key  suite.Hash
	hash suite.Hash
	leaf ref
}

// edit is a change of the tree in two steps: the shape first, then the hashes, level by level from the bottom, so
// that many can be computed together.
type edit struct {
	// changes are sorted by key, without repeats.
	changes []change
	// levels are the new inner nodes by depth, each with the place its hash goes to.
	levels [merkle.DepthMax + 1][]place
	deep   int
	// retiredNodes and retiredLeaves were in the tree before and are not any more.
	retiredNodes, retiredLeaves []uint32
	items                       []item
}

// place is a new node and the child of which node it is; parent is 0 for the root.
type place struct {
	node, parent uint32
	digit        uint8
}

// item is a leaf on its way into the tree.
type item struct {
	key, hash *suite.Hash
	leaf      ref
}

// outcome is what became of a subtree. A fresh one has no hash yet.
type outcome struct {
	ref   ref
	fresh bool
	hash  suite.Hash
}

// reshape applies changes to the tree of root and returns the new root; hashes of new inner nodes are missing
// until rehash. The old tree stays as it is.
func (t *tree) reshape(root ref, rootHash *suite.Hash, changes []change) outcome {
	e := &t.edit
	for depth := range e.deep + 1 {
		e.levels[depth] = e.levels[depth][:0]
	}
	e.changes, e.deep = changes, 0
	e.retiredNodes, e.retiredLeaves = nil, nil
	out := t.descend(root, rootHash, 0, 0, len(changes))
	if out.fresh {
		e.levels[0] = append(e.levels[0], place{node: out.ref.index()})
	}
	return out
}

// descend applies changes from to to to the subtree r at depth. All of them lie in it.
func (t *tree) descend(r ref, hash *suite.Hash, depth, from, to int) outcome {
	switch {
	case from == to:
		return outcome{ref: r, hash: *hash}
	case r == 0 || r.isLeaf():
		return t.meet(r, hash, depth, from, to)
	}
	e := &t.edit
	e.retiredNodes = append(e.retiredNodes, r.index())
	old := t.nodes.at(r.index())
	n := t.nodes.alloc()
	*t.nodes.at(n) = *old
	for digit := range merkle.Arity {
		end := from
		for end < to && merkle.Digit(&e.changes[end].key, depth) == digit {
			end++
		}
		if end > from {
			t.attach(n, depth, digit, t.descend(old.child[digit], &old.hash[digit], depth+1, from, end))
		}
		from = end
	}
	return t.settle(n)
}

// attach makes a subtree the child of n, which lies at depth.
func (t *tree) attach(n uint32, depth, digit int, sub outcome) {
	parent := t.nodes.at(n)
	parent.child[digit] = sub.ref
	if !sub.fresh {
		parent.hash[digit] = sub.hash
		return
	}
	e := &t.edit
	e.deep = max(e.deep, depth+1)
	e.levels[depth+1] = append(e.levels[depth+1], place{sub.ref.index(), n, uint8(digit)})
}

// settle applies the rule of shape to a new node: what has no leaf is nothing, what has one is that leaf.
func (t *tree) settle(n uint32) outcome {
	nd := t.nodes.at(n)
	last, count := 0, 0
	for digit, child := range nd.child {
		if child != 0 {
			last = digit
			count++
		}
	}
	if count > 1 || count == 1 && !nd.child[last].isLeaf() {
		return outcome{ref: ref(n), fresh: true}
	}
	out := outcome{ref: nd.child[last], hash: nd.hash[last]}
	t.nodes.free = append(t.nodes.free, n)
	return out
}

// meet applies changes from to to where there is a leaf, or nothing.
func (t *tree) meet(r ref, hash *suite.Hash, depth, from, to int) outcome {
	e := &t.edit
	start := len(e.items)
	var old *leaf
	if r != 0 {
		old = t.leaves.at(r.index())
	}
	for i := from; i < to; i++ {
		c := &e.changes[i]
		if old != nil {
			switch order := compare(&old.key, &c.key); {
			case order == 0:
				e.retiredLeaves = append(e.retiredLeaves, r.index())
				old = nil
			case order < 0:
				e.items = append(e.items, item{&old.key, hash, r})
				old = nil
			}
		}
		if c.leaf != 0 {
			e.items = append(e.items, item{&c.key, &c.hash, c.leaf})
		}
	}
	if old != nil {
		e.items = append(e.items, item{&old.key, hash, r})
	}
	out := t.build(e.items[start:], depth)
	e.items = e.items[:start]
	return out
}

// build makes a subtree of items, which are sorted.
func (t *tree) build(items []item, depth int) outcome {
	switch len(items) {
	case 0:
		return outcome{}
	case 1:
		return outcome{ref: items[0].leaf, hash: *items[0].hash}
	}
	n := t.nodes.alloc()
	*t.nodes.at(n) = node{}
	from := 0
	for digit := range merkle.Arity {
		end := from
		for end < len(items) && merkle.Digit(items[end].key, depth) == digit {
			end++
		}
		if end > from {
			t.attach(n, depth, digit, t.build(items[from:end], depth+1))
		}
		from = end
	}
	return outcome{ref: ref(n), fresh: true}
}

// rehash computes the hashes of the new inner nodes, deepest level first, and returns the root's.
func (t *tree) rehash(root outcome) suite.Hash {
	e := &t.edit
	for depth := e.deep; depth >= 0; depth-- {
		level := e.levels[depth]
		t.parallel(len(level), func(w *worker, from, to int) {
			for ; from < to; from += packMax {
				t.hashPlaces(w, level[from:min(from+packMax, to)], &root.hash)
			}
		})
	}
	return root.hash
}

// hashPlaces hashes up to packMax nodes at once. Each hash goes to a word of its own, so goroutines do not meet.
func (t *tree) hashPlaces(w *worker, places []place, rootHash *suite.Hash) {
	packed := w.packed[:0]
	for _, p := range places {
		packed = merkle.AppendInner(packed, &t.nodes.at(p.node).hash)
	}
	hashes := w.hashes[:len(places)]
	w.SumMany(merkle.InnerBytes, packed, hashes)
	for i, p := range places {
		if p.parent == 0 {
			*rootHash = hashes[i]
		} else {
			t.nodes.at(p.parent).hash[p.digit] = hashes[i]
		}
	}
}

// discard takes back the nodes and leaves of an edit that is not published.
func (t *tree) discard() {
	e := &t.edit
	for depth := range e.deep + 1 {
		for _, p := range e.levels[depth] {
			t.nodes.free = append(t.nodes.free, p.node)
		}
		e.levels[depth] = e.levels[depth][:0]
	}
	for i := range e.changes {
		if r := e.changes[i].leaf; r != 0 {
			t.leaves.free = append(t.leaves.free, r.index())
		}
	}
	e.changes = nil
}
