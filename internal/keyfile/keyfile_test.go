package keyfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"aval/codec"
	"aval/internal/appetite"
	"aval/suite"
)

// zeros makes the same key and salt every time.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 7
	}
	return len(p), nil
}

func sealed(t testing.TB, s suite.Suite, passphrase string) (*File, suite.Signer) {
	t.Helper()
	signer, err := s.GenerateKey(zeros{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Seal(s, signer, Config{Label: "clerk", Passphrase: []byte(passphrase), Iterations: 2, Rand: zeros{}})
	if err != nil {
		t.Fatal(err)
	}
	return f, signer
}

func TestSealedKeyOpens(t *testing.T) {
	for _, s := range suite.All() {
		rapid.Check(t, func(t *rapid.T) {
			passphrase := rapid.StringN(1, 40, -1).Draw(t, "passphrase")
			signer, err := s.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			f, err := Seal(s, signer, Config{Passphrase: []byte(passphrase), Iterations: 1})
			if err != nil {
				t.Fatal(err)
			}
			b, err := f.Encode()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			opened, err := again.Open([]byte(passphrase))
			if err != nil || !bytes.Equal(opened.Private(), signer.Private()) {
				t.Fatalf("the key does not open: %v", err)
			}
			if _, err := again.Open([]byte(passphrase + "x")); !errors.Is(err, ErrPassphrase) {
				t.Fatalf("a wrong passphrase gives %v", err)
			}
		})
	}
}

func TestEveryChangedByteIsRefused(t *testing.T) {
	for _, s := range suite.All() {
		f, _ := sealed(t, s, "secret")
		good, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			// A cost of millions of iterations is legal; it is refused by the seal, but only after the work.
			f, err := Decode(bad)
			if err == nil && f.Iterations < 1000 {
				_, err = f.Open([]byte("secret"))
			}
			if err == nil {
				t.Errorf("%s: byte %d changed and the key still opens", s.Name(), i)
			}
		}
	}
}

func TestPrivateKeyIsNotInTheFile(t *testing.T) {
	for _, s := range suite.All() {
		f, signer := sealed(t, s, "secret")
		b, err := f.Encode()
		if err != nil || bytes.Contains(b, signer.Private()) || bytes.Contains(b, []byte("secret")) {
			t.Errorf("%s: the file shows a secret, or %v", s.Name(), err)
		}
	}
}

func TestSealRefuses(t *testing.T) {
	s := suite.All()[1]
	_, signer := sealed(t, s, "x")
	for name, c := range map[string]Config{
		"an empty passphrase": {},
		"a long label":        {Passphrase: []byte("x"), Label: strings.Repeat("l", LabelBytesMax+1), Iterations: 1},
		"too many iterations": {Passphrase: []byte("x"), Iterations: IterationsMax + 1},
		"no randomness":       {Passphrase: []byte("x"), Iterations: 1, Rand: strings.NewReader("")},
	} {
		if _, err := Seal(s, signer, c); err == nil {
			t.Errorf("sealed with %s", name)
		}
	}
}

func TestStoreKeepsWhatExists(t *testing.T) {
	dir := Dir(filepath.Join(t.TempDir(), "keys"))
	if entries, err := dir.List(); err != nil || len(entries) != 0 {
		t.Fatalf("a directory that is not there lists %v, %v", entries, err)
	}
	f, signer := sealed(t, suite.All()[0], "secret")
	path, err := dir.Create("clerk", f)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file has mode %v, %v", info.Mode(), err)
	}
	if _, err := dir.Create("clerk", f); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("creating it twice gives %v", err)
	}
	other, err := Seal(suite.All()[0], signer, Config{Label: "new", Passphrase: []byte("new"), Iterations: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, other); err != nil {
		t.Fatal(err)
	}
	got, err := dir.Load("clerk")
	if err != nil || got.Label != "new" {
		t.Fatalf("after replacing: %+v, %v", got, err)
	}
	if _, err := dir.Create("admin", f); err != nil {
		t.Fatal(err)
	}
	entries, err := dir.List()
	if err != nil || len(entries) != 2 || entries[0].Name != "admin" || entries[1].Name != "clerk" {
		t.Fatalf("the directory lists %v, %v", entries, err)
	}
	left, err := os.ReadDir(string(dir))
	if err != nil || len(left) != 2 {
		t.Fatalf("temporary files are left: %v, %v", left, err)
	}
}

func TestKeyNamesAreNoPaths(t *testing.T) {
	for _, name := range []string{"", "../x", "a/b", ".hidden", "a b", strings.Repeat("a", 65)} {
		if path, err := Dir("keys").Path(name); err == nil {
			t.Errorf("the name %q leads to %s", name, path)
		}
	}
}

func TestPassphraseComesFromFileThenEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pass")
	if err := os.WriteFile(file, []byte("from file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(v string, ok bool) func(string) (string, bool) {
		return func(string) (string, bool) { return v, ok }
	}
	for _, tc := range []struct {
		source Source
		want   string
	}{
		{Source{File: file, Env: env("from env", true)}, "from file"},
		{Source{Env: env("from env", true)}, "from env"},
		{Source{Env: env("", true)}, ""},
		{Source{Env: env("", false)}, ""},
		{Source{File: file + "x", Env: env("from env", true)}, ""},
	} {
		got, err := tc.source.GetNew("a test")
		if string(got) != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("source %+v gives %q, %v; want %q", tc.source, got, err, tc.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range suite.All() {
		file, _ := sealed(f, s, "secret")
		b, err := file.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{})
	f.Add(codec.MustMarshal(&File{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		appetite.Check(t, len(b), func() { _, _ = Decode(b) })
		file, err := Decode(b)
		if err != nil {
			return
		}
		again, err := file.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x decodes and encodes to %x, %v", b, again, err)
		}
		if file.Iterations <= 100 {
			if signer, err := file.Open([]byte("other")); err == nil {
				t.Fatalf("%x opens with a passphrase nobody chose: %s", b, signer.Public())
			}
		}
	})
}
