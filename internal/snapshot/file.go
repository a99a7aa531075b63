package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"aval/suite"
)

// File is a snapshot in a file, open for reading. Its methods are safe for concurrent use.
type File struct {
	file     *os.File
	suite    suite.Suite
	manifest *Manifest
	encoded  []byte // the manifest's
	// offsets are where the chunks begin.
	offsets []int64
	byHash  map[suite.Hash]int
}

// OpenFile opens a snapshot's file and reads its manifest, whose form is checked, but no signature. The suite is the one that the
// manifest names.
func OpenFile(path string) (_ *File, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	out := &File{file: f, byHash: map[suite.Hash]int{}}
	if err := out.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return out, nil
}

func (f *File) read() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	trailer := make([]byte, trailerBytes)
	if size < int64(len(magic)+trailerBytes) {
		return invalid("the file has %d bytes", size)
	}
	if _, err := f.file.ReadAt(trailer, size-int64(trailerBytes)); err != nil {
		return err
	}
	n := binary.BigEndian.Uint64(trailer)
	if string(trailer[8:]) != magic || n > ManifestBytesMax || int64(n) > size-int64(len(magic)+trailerBytes) {
		return invalid("the file does not end as a snapshot does; it may be cut off")
	}
	f.encoded = make([]byte, n)
	if _, err := f.file.ReadAt(f.encoded, size-int64(trailerBytes)-int64(n)); err != nil {
		return err
	}
	if f.manifest, err = DecodeManifest(f.encoded); err != nil {
		return err
	}
	if f.suite, err = suite.ByID(f.manifest.Suite); err != nil {
		return invalid("%v", err)
	}
	at := int64(len(magic))
	for i := range f.manifest.Chunks {
		f.offsets = append(f.offsets, at)
		f.byHash[f.manifest.Chunks[i].Hash] = i
		at += int64(f.manifest.Chunks[i].Bytes)
	}
	if at != size-int64(trailerBytes)-int64(n) {
		return invalid("the chunks have %d bytes, the file has room for %d", at, size-int64(trailerBytes)-int64(n))
	}
	return nil
}

// Manifest returns the manifest, which must not be changed.
func (f *File) Manifest() *Manifest { return f.manifest }

// Suite returns the suite that the manifest names.
func (f *File) Suite() suite.Suite { return f.suite }

// Encoded returns the encoded manifest, which must not be changed.
func (f *File) Encoded() []byte { return f.encoded }

// Chunk implements Source. What it returns is the caller's to verify.
func (f *File) Chunk(i int) ([]byte, error) {
	if i < 0 || i >= len(f.offsets) {
		return nil, fmt.Errorf("snapshot: no chunk %d", i)
	}
	b := make([]byte, f.manifest.Chunks[i].Bytes)
	if _, err := f.file.ReadAt(b, f.offsets[i]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, invalid("the file was cut off")
		}
		return nil, fmt.Errorf("snapshot: chunk %d: %w", i, err)
	}
	return b, nil
}

// ByHash returns the chunk that the manifest names by a hash. It is read again and compared, so that a damaged file is not passed on.
func (f *File) ByHash(h suite.Hash) ([]byte, error) {
	i, ok := f.byHash[h]
	if !ok {
		return nil, fmt.Errorf("snapshot: no chunk %s", h)
	}
	b, err := f.Chunk(i)
	if err == nil && HashChunk(f.suite, b) != h {
		err = invalid("chunk %d is damaged", i)
	}
	return b, err
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }
