package snapshot_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"aval/codec"
	"aval/internal/chain/chaintest"
	"aval/internal/snapshot"
	"aval/ledger"
)

// rewrite regenerates the vector file: go test ./internal/snapshot -run TestVectorsAreCurrent -rewrite.
var rewrite = flag.Bool("rewrite", false, "rewrite the files under testdata/vectors")

const vectorPath = "../../testdata/vectors/snapshot.json"

// vectors is the file. Byte strings are hexadecimal, 64-bit integers are decimal strings.
type vectors struct {
	Description []string `json:"description"`
	Files       []vector `json:"files"`
}

type vector struct {
	Suite     string        `json:"suite"`
	Genesis   string        `json:"genesis"`
	File      string        `json:"file"`
	Height    string        `json:"height"`
	StateRoot string        `json:"state_root"`
	Leaves    string        `json:"leaves"`
	Chunks    []chunkVector `json:"chunks"`
	Refused   []flipVector  `json:"refused"`
}

type chunkVector struct {
	Kind  string `json:"kind"`
	Bytes uint32 `json:"bytes"`
	Hash  string `json:"hash"`
}

// flipVector is a change of one byte.
type flipVector struct {
	Name string `json:"name"`
	At   int    `json:"at"`
	Xor  byte   `json:"xor"`
}

var vectorDescription = []string{
	"Snapshots: each file is one of a small network, in the format of package internal/snapshot, and valid against the genesis.",
	"height is that of the state, state_root its root, leaves how many it has; chunks are those of the manifest, in order.",
	"Each of refused changes the byte at an offset of the file by exclusive or; the result must be refused.",
}

// makeVector builds a small network whose every byte repeats, and takes its snapshot.
func makeVector(t *testing.T, suiteName string) vector {
	t.Helper()
	w := newWorld(t, chaintest.Options{Suite: suiteName, Validators: 4})
	for i := range 3 {
		w.step(time.Second, i%2+1)
	}
	path, m := w.file()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	v := vector{Suite: suiteName, Genesis: hex.EncodeToString(codec.MustMarshal(w.n.Genesis)), File: hex.EncodeToString(file),
		Height: strconv.FormatUint(uint64(m.Height), 10), StateRoot: m.Header.StateRoot.String(), Leaves: strconv.FormatUint(m.Leaves, 10)}
	at := 8
	for _, c := range m.Chunks {
		v.Chunks = append(v.Chunks, chunkVector{c.Kind.String(), c.Bytes, c.Hash.String()})
		v.Refused = append(v.Refused, flipVector{"a chunk of " + c.Kind.String(), at + int(c.Bytes)/2, 1})
		at += int(c.Bytes)
	}
	v.Refused = append(v.Refused, flipVector{"the manifest", at + 40, 4}, flipVector{"the certificate", len(file) - 16 - 600, 2},
		flipVector{"the length", len(file) - 9, 1}, flipVector{"the end", len(file) - 1, 1})
	return v
}

// TestVectorsAreCurrent compares the file with what this implementation makes, or writes it with -rewrite.
func TestVectorsAreCurrent(t *testing.T) {
	v := vectors{Description: vectorDescription, Files: []vector{makeVector(t, "sm"), makeVector(t, "intl")}}
	want, err := json.MarshalIndent(&v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *rewrite {
		write(t, vectorPath, want)
		return
	}
	if got := readVectors(t); !bytes.Equal(got, want) {
		t.Fatalf("%s is out of date: run go test ./internal/snapshot -run TestVectorsAreCurrent -rewrite and read the diff", vectorPath)
	}
}

func readVectors(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(vectorPath)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	var v vectors
	if err := json.Unmarshal(readVectors(t), &v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "vector")
	for _, one := range v.Files {
		genesis, err := hex.DecodeString(one.Genesis)
		if err != nil {
			t.Fatal(err)
		}
		file, err := hex.DecodeString(one.File)
		if err != nil {
			t.Fatal(err)
		}
		g, s, err := ledger.DecodeGenesis(genesis)
		if err != nil {
			t.Fatal(err)
		}
		verify := func(b []byte) (*snapshot.Manifest, error) {
			write(t, path, b)
			f, err := snapshot.OpenFile(path)
			if err != nil {
				return nil, err
			}
			return f.Manifest(), errors.Join(snapshot.Verify(t.Context(), s, g, f), f.Close())
		}
		m, err := verify(file)
		if err != nil {
			t.Fatalf("%s: %v", one.Suite, err)
		}
		if strconv.FormatUint(uint64(m.Height), 10) != one.Height || m.Header.StateRoot.String() != one.StateRoot || len(m.Chunks) != len(one.Chunks) {
			t.Errorf("%s: height %d, root %s, %d chunks", one.Suite, m.Height, m.Header.StateRoot, len(m.Chunks))
		}
		for _, r := range one.Refused {
			bad := bytes.Clone(file)
			bad[r.At] ^= r.Xor
			if _, err := verify(bad); !errors.Is(err, snapshot.ErrInvalid) && !errors.Is(err, snapshot.ErrNetwork) {
				t.Errorf("%s: after a change of %s: %v", one.Suite, r.Name, err)
			}
		}
	}
}
