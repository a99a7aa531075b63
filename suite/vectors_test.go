package suite

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// rewrite regenerates the vector files: go test ./suite -run TestVectorsAreCurrent -rewrite.
var rewrite = flag.Bool("rewrite", false, "rewrite the files under testdata/vectors")

// hexBytes is a byte string in hexadecimal.
type hexBytes []byte

func (b hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(b)), nil }

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// vectorFile is the shape of suite-sm.json and suite-intl.json, for programs in any language.
type vectorFile struct {
	Description      []string          `json:"description"`
	Suite            string            `json:"suite"`
	ID               ID                `json:"id"`
	Sums             []vectorSum       `json:"sums"`
	Hashes           []vectorHash      `json:"hashes"`
	PrivateKeys      []vectorPrivate   `json:"private_keys"`
	PublicKeys       []vectorPublic    `json:"public_keys"`
	Signatures       []vectorSignature `json:"signatures"`
	DigestSignatures []vectorDigest    `json:"digest_signatures,omitempty"`
	Sealed           []vectorSealed    `json:"sealed"`
	DerivedKeys      []vectorDerived   `json:"derived_keys"`
}

// verdict is what a reader must conclude, and why it must refuse.
type verdict struct {
	Valid  bool   `json:"valid"`
	Reason string `json:"reason,omitempty"`
}

type vectorSum struct {
	Input hexBytes `json:"input"`
	Hash  hexBytes `json:"hash"`
}

type vectorHash struct {
	Domain Domain     `json:"domain"`
	Parts  []hexBytes `json:"parts"`
	Hash   hexBytes   `json:"hash"`
}

type vectorPrivate struct {
	Name    string   `json:"name"`
	Private hexBytes `json:"private"`
	Public  hexBytes `json:"public"`
	verdict
}

type vectorPublic struct {
	Name   string   `json:"name"`
	Public hexBytes `json:"public"`
	verdict
}

type vectorSignature struct {
	Name        string   `json:"name"`
	Public      hexBytes `json:"public"`
	Domain      Domain   `json:"domain"`
	Message     hexBytes `json:"message"`
	SignedBytes hexBytes `json:"signed_bytes"`
	ZA          hexBytes `json:"za,omitempty"`
	Digest      hexBytes `json:"digest,omitempty"`
	Signature   hexBytes `json:"signature"`
	verdict
}

type vectorDigest struct {
	Name      string   `json:"name"`
	Public    hexBytes `json:"public"`
	Digest    hexBytes `json:"digest"`
	Signature hexBytes `json:"signature"`
	verdict
}

type vectorSealed struct {
	Name       string   `json:"name"`
	Key        hexBytes `json:"key"`
	Additional hexBytes `json:"additional"`
	Sealed     hexBytes `json:"sealed"`
	Plaintext  hexBytes `json:"plaintext"`
	verdict
}

type vectorDerived struct {
	Passphrase hexBytes `json:"passphrase"`
	Salt       hexBytes `json:"salt"`
	Iterations int      `json:"iterations"`
	Length     int      `json:"length"`
	Key        hexBytes `json:"key"`
}

func vectorPath(s Suite) string {
	return filepath.Join("..", "testdata", "vectors", "suite-"+s.Name()+".json")
}

// TestVectorsAreCurrent compares the files with the generators, or writes them with -rewrite.
func TestVectorsAreCurrent(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		want, err := json.MarshalIndent(makeVectors(t, s), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		if *rewrite {
			if err := os.WriteFile(vectorPath(s), want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(vectorPath(s))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%s is out of date: run go test ./suite -run TestVectorsAreCurrent -rewrite and read the diff", vectorPath(s))
		}
	})
}

// TestVectors checks each case of the files, as a client in another language would.
func TestVectors(t *testing.T) {
	forEach(t, func(t *testing.T, s Suite) {
		b, err := os.ReadFile(vectorPath(s))
		if err != nil {
			t.Fatal(err)
		}
		var f vectorFile
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		if f.Suite != s.Name() || f.ID != s.ID() || len(f.Signatures) < 10 || len(f.PublicKeys) < 8 || len(f.Sealed) < 4 {
			t.Fatalf("%s lacks cases", vectorPath(s))
		}
		checkHashVectors(t, s, f)
		checkKeyVectors(t, s, f)
		checkSignatureVectors(t, s, f)
		checkSealVectors(t, s, f)
	})
}

func checkHashVectors(t *testing.T, s Suite, f vectorFile) {
	for _, c := range f.Sums {
		if got := s.Sum(c.Input); !bytes.Equal(got[:], c.Hash) {
			t.Errorf("sum of %x: got %s, want %x", c.Input, got, c.Hash)
		}
	}
	for _, c := range f.Hashes {
		parts := make([][]byte, len(c.Parts))
		for i, p := range c.Parts {
			parts[i] = p
		}
		if got := s.Hash(c.Domain, parts...); !bytes.Equal(got[:], c.Hash) {
			t.Errorf("hash of %q %x: got %s, want %x", c.Domain, parts, got, c.Hash)
		}
	}
}

func checkKeyVectors(t *testing.T, s Suite, f vectorFile) {
	for _, c := range f.PrivateKeys {
		signer, err := s.ParsePrivate(c.Private)
		if (err == nil) != c.Valid {
			t.Errorf("private key %q: got %v, want valid %v", c.Name, err, c.Valid)
		} else if err == nil && !bytes.Equal(signer.Public(), c.Public) {
			t.Errorf("private key %q: public key %s, want %x", c.Name, signer.Public(), c.Public)
		}
	}
	for _, c := range f.PublicKeys {
		if err := s.CheckPublicKey(PublicKey(c.Public)); (err == nil) != c.Valid {
			t.Errorf("public key %q: got %v, want valid %v", c.Name, err, c.Valid)
		}
	}
}

func checkSignatureVectors(t *testing.T, s Suite, f vectorFile) {
	var batch []Signed
	for _, c := range f.Signatures {
		item := Signed{PublicKey(c.Public), c.Domain, c.Message, Signature(c.Signature)}
		batch = append(batch, item)
		if got := s.Verify(item.Key, item.Domain, item.Message, item.Sig); got != c.Valid {
			t.Errorf("signature %q: got %v, want %v", c.Name, got, c.Valid)
		}
		if m := SignedBytes(s, c.Domain, c.Message); !bytes.Equal(m, c.SignedBytes) {
			t.Errorf("signature %q: signed bytes %x, want %x", c.Name, m, c.SignedBytes)
		}
		if s.ID() != SM || s.CheckPublicKey(item.Key) != nil {
			continue
		}
		za, err := SM2ZA(item.Key)
		if err != nil || !bytes.Equal(za[:], c.ZA) {
			t.Errorf("signature %q: ZA %s, want %x, %v", c.Name, za, c.ZA, err)
		}
		e, err := SM2Digest(item.Key, c.SignedBytes)
		if err != nil || !bytes.Equal(e[:], c.Digest) {
			t.Errorf("signature %q: digest %s, want %x, %v", c.Name, e, c.Digest, err)
		}
	}
	for i, got := range s.VerifyBatch(batch) {
		if got != f.Signatures[i].Valid {
			t.Errorf("signature %q in a batch: got %v, want %v", f.Signatures[i].Name, got, f.Signatures[i].Valid)
		}
	}
	for _, c := range f.DigestSignatures {
		key, err := parseSM2Key(PublicKey(c.Public))
		if err != nil {
			t.Fatalf("digest signature %q: %v", c.Name, err)
		}
		if got := key.verify(Hash(c.Digest), Signature(c.Signature)); got != c.Valid {
			t.Errorf("digest signature %q: got %v, want %v", c.Name, got, c.Valid)
		}
	}
}

func checkSealVectors(t *testing.T, s Suite, f vectorFile) {
	for _, c := range f.Sealed {
		got, err := s.Open(c.Key, c.Sealed, c.Additional)
		if (err == nil) != c.Valid || !bytes.Equal(got, c.Plaintext) {
			t.Errorf("sealed %q: got %x, %v, want %x, valid %v", c.Name, got, err, c.Plaintext, c.Valid)
		}
	}
	for _, c := range f.DerivedKeys {
		if got := s.DeriveKey(c.Passphrase, c.Salt, c.Iterations, c.Length); !bytes.Equal(got, c.Key) {
			t.Errorf("derived key: got %x, want %x", got, c.Key)
		}
	}
}
