package keyfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// Ext is the ending of key files.
const Ext = ".key"

// nameForm is what a key may be called, so that a name is never a path.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Dir is a directory of key files; a key's name is its file's without Ext.
type Dir string

// Entry is one key of a directory.
type Entry struct {
	Name string `json:"name"`
	Path string `json:"path"`
	File *File  `json:"key"`
}

// Path returns where the key name stands, or an error if it cannot be a name.
func (d Dir) Path(name string) (string, error) {
	if !nameForm.MatchString(name) {
		return "", fmt.Errorf("key name %q: use up to 64 letters, digits, '.', '_' or '-'", name)
	}
	return filepath.Join(string(d), name+Ext), nil
}

// Load reads the key name.
func (d Dir) Load(name string) (*File, error) {
	path, err := d.Path(name)
	if err != nil {
		return nil, err
	}
	return Read(path)
}

// Create writes the key name, which must not exist.
func (d Dir) Create(name string, f *File) (string, error) {
	path, err := d.Path(name)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return "", err
	}
	return path, Create(path, f)
}

// List returns every key of the directory, by name. A directory that does not exist has none.
func (d Dir) List() ([]Entry, error) {
	files, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, file := range files {
		name, isKey := strings.CutSuffix(file.Name(), Ext)
		if !isKey || file.IsDir() {
			continue
		}
		path := filepath.Join(string(d), file.Name())
		f, err := Read(path)
		if err != nil {
			return nil, err
		}
		out = append(out, Entry{Name: name, Path: path, File: f})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// Read reads and decodes the file at path.
func Read(path string) (*File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, BytesMax+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	f, err := Decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Create writes f to path. It refuses, with an error that wraps fs.ErrExist, to overwrite.
func Create(path string, f *File) error {
	tmp, err := writeTemp(path, f)
	if err != nil {
		return err
	}
	// A link fails if path exists, so that two writers cannot both succeed.
	err = os.Link(tmp, path)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%s: %w; choose another name or move the old key away", path, fs.ErrExist)
	}
	return errors.Join(err, os.Remove(tmp), syncDir(filepath.Dir(path)))
}

// Replace writes f to path in place of what stands there.
func Replace(path string, f *File) error {
	tmp, err := writeTemp(path, f)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(path))
}

// writeTemp writes f durably to a new file beside path, readable by its owner only.
func writeTemp(path string, f *File) (string, error) {
	b, err := f.Encode()
	if err != nil {
		return "", err
	}
	w, err := os.CreateTemp(filepath.Dir(path), ".key-*") // with mode 0600
	if err != nil {
		return "", err
	}
	_, err = w.Write(b)
	err = errors.Join(err, w.Sync(), w.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(w.Name()))
	}
	return w.Name(), nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
