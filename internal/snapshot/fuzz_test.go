package snapshot

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// sample returns a valid file, its genesis and its chunks, from the vectors.
func sample(t testing.TB) (file []byte, s suite.Suite, g *ledger.Genesis, m *Manifest, chunks [][]byte) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/vectors/snapshot.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Files []struct{ Genesis, File string }
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	last := v.Files[len(v.Files)-1]
	genesis, err := hex.DecodeString(last.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	if file, err = hex.DecodeString(last.File); err != nil {
		t.Fatal(err)
	}
	if g, s, err = ledger.DecodeGenesis(genesis); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "sample")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m = f.Manifest()
	for i := range m.Chunks {
		c, err := f.Chunk(i)
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, c)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file, s, g, m, chunks
}

// FuzzDecodeManifest checks that what decodes encodes back, and that no other manifest than the sample's verifies.
func FuzzDecodeManifest(f *testing.F) {
	_, s, g, good, _ := sample(f)
	f.Add(codec.MustMarshal(good))
	short := *good
	short.Chunks = good.Chunks[:1]
	f.Add(codec.MustMarshal(&short))
	f.Add([]byte{0xa8})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeManifest(b)
		if err != nil {
			return
		}
		if !bytes.Equal(codec.MustMarshal(m), b) {
			t.Fatalf("%x encodes back otherwise", b)
		}
		if m.Verify(s, g) == nil && m.Header != good.Header {
			t.Fatalf("a manifest of header %+v is certified", m.Header)
		}
	})
}

// FuzzChunk gives a verifier that is at the first chunk of some kind another chunk than the good one, of which the manifest says
// what it likes. Only what a re-encoding would also say may pass.
func FuzzChunk(f *testing.F) {
	_, s, g, good, chunks := sample(f)
	for i, c := range chunks {
		f.Add(byte(i), c)
		f.Add(byte(i), []byte{})
	}
	f.Add(byte(0), codec.MustMarshal(&stateChunk{}))
	ready := make([]Verifier, len(chunks)) // before each chunk
	v, err := NewVerifier(s, g, good, nil)
	if err != nil {
		f.Fatal(err)
	}
	for i := range chunks {
		ready[i] = *v
		ready[i].headers, ready[i].receipts = slices.Clip(v.headers), slices.Clip(v.receipts)
		if err := v.Chunk(chunks[i]); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, at byte, b []byte) {
		place := int(at) % len(chunks)
		m := *good
		m.Chunks = slices.Clone(good.Chunks)
		m.Chunks[place].Bytes, m.Chunks[place].Hash = uint32(len(b)), HashChunk(s, b)
		v := ready[place]
		v.manifest = &m
		if v.Chunk(b) != nil || bytes.Equal(b, chunks[place]) {
			return
		}
		// Blocks may carry another certificate, and stubs be cut finer: what is in the chunk must be the same all the same.
		for i := place + 1; i < len(chunks); i++ {
			if v.Chunk(chunks[i]) != nil {
				return
			}
		}
		if v.Finish() == nil && v.leaves != good.Leaves {
			t.Fatalf("a snapshot with %d leaves is taken, the network has %d", v.leaves, good.Leaves)
		}
	})
}

// FuzzOpenFile checks that no bytes in a file make a panic, and that what opens has the chunks that it lists.
func FuzzOpenFile(f *testing.F) {
	file, _, _, _, _ := sample(f)
	f.Add(file)
	f.Add(file[:len(file)-1])
	f.Add([]byte(magic + magic))
	path := filepath.Join(f.TempDir(), "f")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenFile(path)
		if err != nil {
			return
		}
		for i := range s.Manifest().Chunks {
			if c, err := s.Chunk(i); err != nil || len(c) != int(s.Manifest().Chunks[i].Bytes) {
				t.Fatalf("chunk %d: %d bytes, %v", i, len(c), err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
