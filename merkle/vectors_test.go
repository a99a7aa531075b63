package merkle_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"aval/codec"
	"aval/merkle"
	"aval/merkle/merkletest"
	"aval/suite"
)

// rewrite regenerates the vector files: go test ./merkle -run TestVectorsAreCurrent -rewrite.
var rewrite = flag.Bool("rewrite", false, "rewrite the files under testdata/vectors")

// vectors is one file. Byte strings are hexadecimal, 64-bit integers are decimal strings.
type vectors struct {
	Description []string        `json:"description"`
	Suite       string          `json:"suite"`
	Scheme      int             `json:"scheme"`
	Lists       []listVector    `json:"lists"`
	Blocks      []blockVector   `json:"blocks"`
	Refused     []refusedVector `json:"refused"`
}

type listVector struct {
	Leaves []string `json:"leaves"`
	Root   string   `json:"root"`
	// Proofs has one proof per leaf.
	Proofs []string `json:"proofs"`
}

type blockVector struct {
	Height    uint64        `json:"height,string"`
	Writes    []writeVector `json:"writes"`
	StateRoot string        `json:"state_root"`
	WriteRoot string        `json:"write_root"`
	States    []stateVector `json:"states"`
	Written   []setVector   `json:"written"`
}

type writeVector struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Delete bool   `json:"delete"`
}

type stateVector struct {
	Key     string `json:"key"`
	Place   string `json:"place"`
	Present bool   `json:"present"`
	Value   string `json:"value"`
	Height  uint64 `json:"height,string"`
	Proof   string `json:"proof"`
}

type setVector struct {
	Key      string `json:"key"`
	Deleted  bool   `json:"deleted"`
	Value    string `json:"value"`
	Previous uint64 `json:"previous,string"`
	Proof    string `json:"proof"`
}

type refusedVector struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Root   string `json:"root"`
	Key    string `json:"key"`
	Height uint64 `json:"height,string"`
	Proof  string `json:"proof"`
}

var vectorsDescription = []string{
	"merkle/doc.go says how roots are made. H is the suite's hash, place the hash of a key under the domain \"state key\".",
	"lists: root is that of the leaves; proofs[i] is the encoding of a list proof that leaves[i] stands at i.",
	"blocks: applied one after another, heights in between write nothing. writes are in no particular order. A deletion of",
	"what is not there is no write. states: each proof verifies under state_root and says present, value and height (0 if the",
	"tree has no leaf of the key). written: each proof verifies under write_root and says what the block wrote.",
	"refused: each proof is refused, when it is decoded or when it is verified. kind: list (key is the leaf), state, write.",
}

func vectorPath(name string) string { return "../testdata/vectors/merkle-" + name + ".json" }

// suites are those of every vector file.
func suites(t testing.TB) []suite.Suite {
	t.Helper()
	all := suite.All()
	if len(all) < 2 {
		t.Fatalf("there are %d suites", len(all))
	}
	return all
}

// generate makes a file's contents with the twin alone.
func generate(s suite.Suite) *vectors {
	v := &vectors{Description: vectorsDescription, Suite: s.Name(), Scheme: merkle.Scheme}
	for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9} {
		v.Lists = append(v.Lists, generateList(s, n))
	}
	twin := merkletest.NewTwin(s)
	for _, b := range generateBlocks(s) {
		v.Blocks = append(v.Blocks, generateBlock(s, twin, b))
	}
	v.Refused = append(refusedLists(s), refusedStates(s)...)
	v.Refused = append(v.Refused, refusedWrites(s)...)
	return v
}

func generateList(s suite.Suite, n int) listVector {
	leaves := [][]byte{}
	out := listVector{Leaves: []string{}, Proofs: []string{}}
	for i := range n {
		leaf := bytes.Repeat([]byte{byte('a' + i)}, i)
		leaves = append(leaves, leaf)
		out.Leaves = append(out.Leaves, hex.EncodeToString(leaf))
	}
	root := merkletest.ListRoot(s, leaves)
	out.Root = root.String()
	for i := range n {
		out.Proofs = append(out.Proofs, encode(merkletest.ListProof(s, leaves, i)))
	}
	return out
}

func encode(v any) string { return hex.EncodeToString(codec.MustMarshal(v)) }

// testBlock is one block of the history in the vectors.
type testBlock struct {
	height uint64
	writes []merkletest.Write
	look   [][]byte
}

// generateBlocks is a history with every case of the rules: an empty tree, a single leaf, an empty value, two keys with a
// long common prefix, updates, deletions, deletions of nothing, quiet heights, tombstones written again and leaving.
func generateBlocks(s suite.Suite) []testBlock {
	a, b := deepPair(s)
	set := func(key, value string) merkletest.Write {
		return merkletest.Write{Key: []byte(key), Value: []byte(value)}
	}
	drop := func(key string) merkletest.Write { return merkletest.Write{Key: []byte(key), Delete: true} }
	many, none := []merkletest.Write{}, []merkletest.Write{}
	for i := range 40 {
		many = append(many, set(fmt.Sprintf("key %d", i), fmt.Sprintf("value %d", i)))
	}
	long := string(bytes.Repeat([]byte{0xff}, merkle.KeyBytesMax))
	keys := func(names ...string) (out [][]byte) {
		for _, n := range names {
			out = append(out, []byte(n))
		}
		return out
	}
	return []testBlock{
		{0, none, keys("alone")},
		{1, []merkletest.Write{set("alone", "")}, keys("alone", "other")},
		{2, append(many, set(a, "deep"), set(long, "long key")), keys("alone", "key 0", "key 39", a, b, long, "absent")},
		{3, []merkletest.Write{set(b, "too"), drop("key 1"), drop("key 2"), drop("nothing"), set("key 3", "new")},
			keys(a, b, "key 1", "key 3", "nothing")},
		{5, []merkletest.Write{drop("key 1"), drop("nothing")}, keys("key 1")},
		{6, []merkletest.Write{set("key 2", "again"), drop(a)}, keys("key 2", a, b)},
		{1027, []merkletest.Write{set("key 4", "tick")}, keys("key 1", "key 2", a)},
		{1030, []merkletest.Write{set("key 1", "back")}, keys("key 1", a, b)},
	}
}

// deepPair returns two keys whose places share as many digits as any two of 5,000.
func deepPair(s suite.Suite) (a, b string) {
	type entry struct {
		key   string
		place suite.Hash
	}
	var all []entry
	for i := range 5000 {
		key := fmt.Sprintf("deep %d", i)
		all = append(all, entry{key, s.Hash(merkle.DomainStateKey, []byte(key))})
	}
	slices.SortFunc(all, func(x, y entry) int { return bytes.Compare(x.place[:], y.place[:]) })
	best := -1
	for i := range all[1:] {
		x, y := &all[i], &all[i+1]
		depth := 0
		for merkle.Digit(&x.place, depth) == merkle.Digit(&y.place, depth) {
			depth++
		}
		if depth > best {
			best, a, b = depth, x.key, y.key
		}
	}
	return a, b
}

func generateBlock(s suite.Suite, twin *merkletest.Twin, b testBlock) blockVector {
	twin.Apply(b.height, b.writes)
	out := blockVector{Height: b.height, Writes: []writeVector{}, StateRoot: twin.StateRoot().String(),
		WriteRoot: twin.WriteRoot().String(), States: []stateVector{}, Written: []setVector{}}
	for _, w := range b.writes {
		out.Writes = append(out.Writes, writeVector{hex.EncodeToString(w.Key), hex.EncodeToString(w.Value), w.Delete})
	}
	for _, key := range b.look {
		proof := twin.Prove(key)
		value, height, present := twin.Get(key)
		if proof.End == merkle.EndTombstone {
			height = proof.Height
		}
		out.States = append(out.States, stateVector{hex.EncodeToString(key), s.Hash(merkle.DomainStateKey, key).String(),
			present, hex.EncodeToString(value), height, encode(proof)})
		if w := twin.ProveWrite(key); w != nil {
			out.Written = append(out.Written, setVector{hex.EncodeToString(key), w.Deleted, hex.EncodeToString(w.Value),
				w.Previous, encode(w)})
		}
	}
	return out
}

// TestVectorsAreCurrent compares the files with the generator, or writes them with -rewrite.
func TestVectorsAreCurrent(t *testing.T) {
	for _, s := range suites(t) {
		want, err := json.MarshalIndent(generate(s), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		if *rewrite {
			if err := os.WriteFile(vectorPath(s.Name()), want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(vectorPath(s.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is out of date: run go test ./merkle -run TestVectorsAreCurrent -rewrite and read the diff",
				vectorPath(s.Name()))
		}
	}
}

func loadVectors(t testing.TB, s suite.Suite) *vectors {
	t.Helper()
	b, err := os.ReadFile(vectorPath(s.Name()))
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return &v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func unhash(t testing.TB, s string) (h suite.Hash) {
	t.Helper()
	if err := h.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestVectors checks the package against the files.
func TestVectors(t *testing.T) {
	for _, s := range suites(t) {
		v := loadVectors(t, s)
		if len(v.Lists) == 0 || len(v.Blocks) == 0 || len(v.Refused) == 0 {
			t.Fatalf("%s: the file lacks a section", s.Name())
		}
		for _, l := range v.Lists {
			checkList(t, s, &l)
		}
		for _, b := range v.Blocks {
			checkBlock(t, s, &b)
		}
		for _, r := range v.Refused {
			if err := verifyAny(s, r.Kind, unhash(t, r.Root), r.Height, unhex(t, r.Proof), unhex(t, r.Key)); err == nil {
				t.Errorf("%s: %s was accepted", s.Name(), r.Name)
			}
		}
	}
}

func checkList(t *testing.T, s suite.Suite, l *listVector) {
	t.Helper()
	var leaves [][]byte
	for _, leaf := range l.Leaves {
		leaves = append(leaves, unhex(t, leaf))
	}
	root := unhash(t, l.Root)
	if got := merkle.Root(s, leaves); got != root {
		t.Errorf("%s: root of %d leaves is %s, want %s", s.Name(), len(leaves), got, root)
	}
	for i, leaf := range leaves {
		if err := verifyAny(s, "list", root, 0, unhex(t, l.Proofs[i]), leaf); err != nil {
			t.Errorf("%s: leaf %d of %d: %v", s.Name(), i, len(leaves), err)
		}
		p, err := merkle.Prove(s, leaves, i)
		if err != nil || encode(p) != l.Proofs[i] {
			t.Errorf("%s: proof of leaf %d of %d is %v, %v", s.Name(), i, len(leaves), p, err)
		}
	}
}

func checkBlock(t *testing.T, s suite.Suite, b *blockVector) {
	t.Helper()
	for _, v := range b.States {
		key := unhex(t, v.Key)
		p, err := merkle.DecodeStateProof(unhex(t, v.Proof))
		if err != nil {
			t.Fatalf("%s: height %d, key %q: %v", s.Name(), b.Height, key, err)
		}
		value, height, present, err := merkle.VerifyState(s, unhash(t, b.StateRoot), p, key)
		if err != nil || present != v.Present || height != v.Height || hex.EncodeToString(value) != v.Value {
			t.Errorf("%s: height %d, key %q: %x of height %d, %t, %v", s.Name(), b.Height, key, value, height, present, err)
		}
	}
	for _, v := range b.Written {
		key := unhex(t, v.Key)
		p, err := merkle.DecodeWriteProof(unhex(t, v.Proof))
		if err != nil {
			t.Fatalf("%s: height %d, key %q: %v", s.Name(), b.Height, key, err)
		}
		w, err := merkle.VerifyWrite(s, unhash(t, b.WriteRoot), b.Height, p, key)
		if err != nil || w.Deleted != v.Deleted || w.Previous != v.Previous || hex.EncodeToString(w.Value) != v.Value {
			t.Errorf("%s: write of height %d, key %q: %v, %v", s.Name(), b.Height, key, w, err)
		}
	}
}

// verifyAny decodes and verifies a proof of any kind.
func verifyAny(s suite.Suite, kind string, root suite.Hash, height uint64, proof, key []byte) error {
	switch kind {
	case "list":
		p, err := merkle.DecodeProof(proof)
		if err != nil {
			return err
		}
		return merkle.Verify(s, root, key, p)
	case "state":
		p, err := merkle.DecodeStateProof(proof)
		if err != nil {
			return err
		}
		_, _, _, err = merkle.VerifyState(s, root, p, key)
		return err
	case "write":
		p, err := merkle.DecodeWriteProof(proof)
		if err != nil {
			return err
		}
		_, err = merkle.VerifyWrite(s, root, height, p, key)
		return err
	}
	panic("no such kind: " + kind)
}
