package suite

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

const (
	vectorDomain  = Domain("vector")
	vectorMessage = "a promise to pay"
)

var vectorDescription = []string{
	"All byte strings are hexadecimal; u32(x) is the length of x, four bytes, big-endian; tag is \"aval/\" || suite || \"/\" || domain.",
	"sums: hash = H(input). hashes: hash = H(u32(tag) || tag || u32(part) || part ...). H is SM3 in sm, SHA-256 in intl.",
	"signatures: signed_bytes = u32(tag) || tag || message. In sm a signature is r || s || flag over digest = SM3(za || signed_bytes),",
	"za for the user id 1234567812345678, flag = (y1 mod 2) + 2 * (x1 >= n) of the nonce point (x1, y1) = s*G + (r+s)*P.",
	"In intl it is Ed25519 over signed_bytes: canonical A and R, A not of small order, s < L, [8][s]B = [8]R + [8][h]A.",
	"digest_signatures (sm): the digest is given, since such nonce points cannot be had for a message.",
	"sealed: nonce (12) || ciphertext || tag (16) of SM4-GCM or AES-256-GCM. derived_keys: PBKDF2-HMAC with the suite's hash.",
	"A case that is not valid must be refused; reason says why.",
}

var accepted = verdict{Valid: true}

func refused(reason string) verdict { return verdict{Reason: reason} }

// makeVectors builds the whole file of a suite; nothing in it depends on chance.
func makeVectors(t testing.TB, s Suite) vectorFile {
	f := vectorFile{
		Description: vectorDescription, Suite: s.Name(), ID: s.ID(),
		Sums: makeSums(s), Hashes: makeHashes(s), Sealed: makeSealed(t, s), DerivedKeys: makeDerived(s),
	}
	f.Signatures = commonSignatures(t, s)
	if s.ID() == SM {
		f.PrivateKeys, f.PublicKeys = smPrivateKeys(t, s), smPublicKeys(t, s)
		f.Signatures = append(f.Signatures, smSignatures(t, s)...)
		f.DigestSignatures = smDigestSignatures(t)
	} else {
		f.PrivateKeys, f.PublicKeys = intlPrivateKeys(t, s), intlPublicKeys(t, s)
		f.Signatures = append(f.Signatures, intlSignatures(s)...)
	}
	return f
}

func makeSums(s Suite) (out []vectorSum) {
	for _, in := range []string{"", "abc", strings.Repeat("abcd", 16), strings.Repeat("a", 1000)} {
		h := s.Sum([]byte(in))
		out = append(out, vectorSum{hexBytes(in), h[:]})
	}
	return out
}

func makeHashes(s Suite) (out []vectorHash) {
	for _, c := range []struct {
		domain Domain
		parts  []string
	}{
		{"", nil}, {"d", nil}, {"d", []string{""}}, {"d", []string{"", ""}}, {"d", []string{"ab"}}, {"d", []string{"a", "b"}},
		{"da", []string{"b"}}, {"d", []string{"", "ab"}}, {"long", []string{strings.Repeat("x", 300), "y"}},
	} {
		v := vectorHash{Domain: c.domain, Parts: []hexBytes{}}
		var parts [][]byte
		for _, p := range c.parts {
			v.Parts, parts = append(v.Parts, hexBytes(p)), append(parts, []byte(p))
		}
		h := s.Hash(c.domain, parts...)
		v.Hash = h[:]
		out = append(out, v)
	}
	return out
}

func makeSealed(t testing.TB, s Suite) []vectorSealed {
	key := bytes.Repeat([]byte{0x42}, s.KeySize())
	type sealer interface {
		sealWith(nonce [sealNonceSize]byte, key, plaintext, additional []byte) ([]byte, error)
	}
	additional, plaintext := []byte("context"), []byte("a secret")
	sealed, err := s.(sealer).sealWith([sealNonceSize]byte{1, 2, 3}, key, plaintext, additional)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := s.(sealer).sealWith([sealNonceSize]byte{4}, key, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	flip := func(at int) hexBytes {
		b := bytes.Clone(sealed)
		b[at] ^= 1
		return b
	}
	no := func(name string, key, additional, sealed []byte, reason string) vectorSealed {
		return vectorSealed{name, key, additional, sealed, nil, refused(reason)}
	}
	return []vectorSealed{
		{"sealed", key, additional, sealed, plaintext, accepted},
		{"empty", key, nil, empty, nil, accepted},
		no("other context", key, []byte("contexT"), sealed, "additional data differs"),
		no("other key", bytes.Repeat([]byte{0x43}, len(key)), additional, sealed, "key differs"),
		no("short key", key[1:], additional, sealed, "wrong key length"),
		no("nonce changed", key, additional, flip(0), "changed"), no("ciphertext changed", key, additional, flip(12), "changed"),
		no("tag changed", key, additional, flip(len(sealed)-1), "changed"),
		no("trailing byte", key, additional, append(bytes.Clone(sealed), 0), "changed"),
		no("cut", key, additional, sealed[:len(sealed)-1], "changed"), no("tag only", key, additional, sealed[len(sealed)-16:], "too short"),
		no("nothing", key, additional, nil, "too short"),
	}
}

func makeDerived(s Suite) (out []vectorDerived) {
	for _, c := range []struct{ iterations, length int }{{1, 32}, {2, 16}, {1000, 48}} {
		p, salt := []byte("password"), []byte("salt")
		out = append(out, vectorDerived{p, salt, c.iterations, c.length, s.DeriveKey(p, salt, c.iterations, c.length)})
	}
	return out
}

// signatureCase fills in what follows from key, domain and message.
func signatureCase(s Suite, name string, k PublicKey, domain Domain, message []byte, sig Signature, v verdict) vectorSignature {
	c := vectorSignature{
		Name: name, Public: hexBytes(k), Domain: domain, Message: message,
		SignedBytes: SignedBytes(s, domain, message), Signature: hexBytes(sig), verdict: v,
	}
	if s.ID() != SM {
		return c
	}
	if za, err := SM2ZA(k); err == nil {
		c.ZA = za[:]
	}
	if e, err := SM2Digest(k, c.SignedBytes); err == nil {
		c.Digest = e[:]
	}
	return c
}

// commonSignatures are the cases that every suite has.
func commonSignatures(t testing.TB, s Suite) []vectorSignature {
	signer, other := testSigner(t, s, "vector signer"), testSigner(t, s, "vector other")
	k, m := signer.Public(), []byte(vectorMessage)
	sig := mustSign(t, signer, vectorDomain, m)
	foreign := All()[0]
	if s.ID() == foreign.ID() {
		foreign = All()[1]
	}
	foreignSigned := SignedBytes(foreign, vectorDomain, m)
	c := func(name string, k PublicKey, d Domain, m []byte, sig Signature, v verdict) vectorSignature {
		return signatureCase(s, name, k, d, m, sig, v)
	}
	return []vectorSignature{
		c("honest", k, vectorDomain, m, sig, accepted),
		c("honest, empty message", k, vectorDomain, nil, mustSign(t, signer, vectorDomain, nil), accepted),
		c("honest, long message", k, "d", make([]byte, 200), mustSign(t, signer, "d", make([]byte, 200)), accepted),
		c("other message", k, vectorDomain, []byte("a promise to pay more"), sig, refused("message differs")),
		c("wrong domain", k, "vectors", m, sig, refused("domain differs")),
		c("boundary between domain and message moved", k, vectorDomain+"a", m[1:], sig, refused("domain differs")),
		c("wrong key", other.Public(), vectorDomain, m, sig, refused("key differs")),
		c("tag of the other suite", k, vectorDomain, m, signRaw(t, signer, foreignSigned), refused("suite differs")),
		c("no tag", k, vectorDomain, m, signRaw(t, signer, m), refused("bare message signed")),
		c("trailing byte", k, vectorDomain, m, append(bytes.Clone(sig), 0), refused("wrong length")),
		c("cut", k, vectorDomain, m, sig[:len(sig)-1], refused("wrong length")),
		c("nothing", k, vectorDomain, m, nil, refused("wrong length")),
		c("zeros", k, vectorDomain, m, make(Signature, len(sig)), refused("out of range or not of this message")),
		c("key cut", k[:len(k)-1], vectorDomain, m, sig, refused("wrong key length")),
		c("key with a trailing byte", append(bytes.Clone(k), 0), vectorDomain, m, sig, refused("wrong key length")),
	}
}

// signRaw signs bytes without a domain, as no signer of this package does.
func signRaw(t testing.TB, signer Signer, m []byte) Signature {
	var sig Signature
	var err error
	switch v := signer.(type) {
	case *smSigner:
		sig, err = sm2Sign(v.private, nil, v.key.digest(m), v.flag)
	case *intlSigner:
		sig, err = v.raw(m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func smPrivateKeys(t testing.TB, s Suite) []vectorPrivate {
	n := sm2Params.N
	minus := func(k int64) hexBytes { return scalar32(new(big.Int).Sub(n, big.NewInt(k))) }
	ok := func(name string, private []byte) vectorPrivate {
		signer, err := s.ParsePrivate(private)
		if err != nil {
			t.Fatal(err)
		}
		return vectorPrivate{name, private, hexBytes(signer.Public()), accepted}
	}
	no := func(name string, private []byte, reason string) vectorPrivate {
		return vectorPrivate{name, private, nil, refused(reason)}
	}
	return []vectorPrivate{
		ok("GB/T 32918.5 A.2", unhex(gbPrivate)), ok("1", scalar32(big.NewInt(1))), ok("n-2", minus(2)),
		no("0", make([]byte, 32), "out of range"), no("n-1", minus(1), "out of range"), no("n", minus(0), "out of range"),
		no("n+1", minus(-1), "out of range"), no("2^256-1", bytes.Repeat([]byte{0xff}, 32), "out of range"),
		no("31 bytes", unhex(gbPrivate)[1:], "wrong length"), no("33 bytes", append([]byte{0}, unhex(gbPrivate)...), "wrong length"),
		no("nothing", nil, "wrong length"),
	}
}

func smPublicKeys(t testing.TB, s Suite) []vectorPublic {
	key, err := parseSM2Key(unhex(gbPublic))
	if err != nil {
		t.Fatal(err)
	}
	good := unhex(gbPublic)
	negative := slices.Concat([]byte{5 - good[0]}, good[1:])
	point := func(head byte, x *big.Int) hexBytes { return append([]byte{head}, scalar32(x)...) }
	uncompressed := slices.Concat([]byte{4}, scalar32(key.x), scalar32(key.y))
	p := sm2Params.P
	no := func(name string, b []byte, reason string) vectorPublic { return vectorPublic{name, b, refused(reason)} }
	return []vectorPublic{
		{"GB/T 32918.5 A.2", good, accepted}, {"its negative", negative, accepted},
		{"G", point(2+byte(sm2Params.Gy.Bit(0)), sm2Params.Gx), accepted}, {"x = 0", point(2, new(big.Int)), accepted},
		no("x = 2", point(2, big.NewInt(2)), "off the curve"), no("x = 2, odd", point(3, big.NewInt(2)), "off the curve"),
		no("x = p", point(2, p), "not below p"), no("x = p + 1 for x = 1", point(2, new(big.Int).Add(p, big.NewInt(1))), "not below p"),
		no("x = 2^256-1", append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...), "not below p"),
		no("identity", []byte{0}, "identity"), no("identity, padded", make([]byte, 33), "identity"),
		no("uncompressed", uncompressed, "wrong length"), no("uncompressed head", slices.Concat([]byte{4}, good[1:]), "head"),
		no("hybrid head", slices.Concat([]byte{6}, good[1:]), "head"), no("x alone", good[1:], "wrong length"),
		no("cut", good[:32], "wrong length"), no("trailing byte", slices.Concat(good, []byte{0}), "wrong length"),
		no("nothing", nil, "wrong length"),
	}
}

func smSignatures(t testing.TB, s Suite) []vectorSignature {
	signer := testSigner(t, s, "vector signer").(*smSigner)
	k, m := signer.Public(), []byte(vectorMessage)
	sig := mustSign(t, signer, vectorDomain, m)
	n := sm2Params.N
	r, v := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64])
	with := func(r, s *big.Int, flag byte) Signature { return append(append(scalar32(r), scalar32(s)...), flag) }
	c := func(name string, sig Signature, reason string) vectorSignature {
		return signatureCase(s, name, k, vectorDomain, m, sig, refused(reason))
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, v})
	if err != nil {
		t.Fatal(err)
	}
	other, err := sm2.CalculateSM2Hash(&signer.private.PublicKey, SignedBytes(s, vectorDomain, m), []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	otherID, err := sm2Sign(signer.private, nil, Hash(other), signer.flag)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := sm2Sign(signer.private, nil, s.Sum(SignedBytes(s, vectorDomain, m)), signer.flag)
	if err != nil {
		t.Fatal(err)
	}
	zero, all := new(big.Int), new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, 32))
	out := []vectorSignature{
		c("r = 0", with(zero, v, 0), "r out of range"), c("s = 0", with(r, zero, 0), "s out of range"),
		c("r = n", with(n, v, 0), "r out of range"), c("s = n", with(r, n, 0), "s out of range"),
		c("r = 2^256-1", with(all, v, 0), "r out of range"), c("s = 2^256-1", with(r, all, 0), "s out of range"),
		c("r + s = n", with(r, new(big.Int).Sub(n, r), 0), "r + s = 0 mod n"), c("s negated", with(r, new(big.Int).Sub(n, v), sig[64]), "equation"),
		c("without flag", sig[:64], "wrong length"), c("DER", der, "wrong length"), c("other user id", otherID, "user id differs"),
		c("without ZA", bare, "ZA missing"), c("r and s swapped", with(v, r, sig[64]), "equation"),
	}
	for _, flag := range []byte{0, 1, 2, 3, 4, sig[64] | 0x80, 0xff} {
		if flag != sig[64] {
			out = append(out, c("flag "+hexText(flag), with(r, v, flag), "flag of another nonce point"))
		}
	}
	for _, bad := range smPublicKeys(t, s) {
		if !bad.Valid {
			out = append(out, signatureCase(s, "key: "+bad.Name, PublicKey(bad.Public), vectorDomain, m, sig, refused("key: "+bad.Reason)))
		}
	}
	return out
}

func smDigestSignatures(t testing.TB) (out []vectorDigest) {
	for odd := range uint(2) {
		k, e, sig := overflowCase(t, odd)
		for flag := range byte(4) {
			c := vectorDigest{
				Name: "x1 >= n, y1 mod 2 = " + hexText(byte(odd)) + ", flag " + hexText(flag), Public: hexBytes(k), Digest: e[:],
				Signature: append(bytes.Clone(hexBytes(sig[:64])), flag), verdict: refused("flag of another nonce point"),
			}
			if flag == sig[64] {
				c.verdict = accepted
			}
			out = append(out, c)
		}
	}
	rs := unhex(gbR + gbS)
	return append(out,
		vectorDigest{"GB/T 32918.5 A.2", unhex(gbPublic), unhex(gbDigest), append(bytes.Clone(rs), 0), accepted},
		vectorDigest{"GB/T 32918.5 A.2, flag 01", unhex(gbPublic), unhex(gbDigest), append(bytes.Clone(rs), 1), refused("flag of another nonce point")})
}

// hexText returns one byte as two hexadecimal digits.
func hexText(b byte) string { return hex.EncodeToString([]byte{b}) }

func intlPrivateKeys(t testing.TB, s Suite) []vectorPrivate {
	zeros, err := s.ParsePrivate(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	signer := testSigner(t, s, "vector signer")
	private := hexBytes(signer.Private())
	return []vectorPrivate{
		{"seed", private, hexBytes(signer.Public()), accepted},
		{"zeros", make([]byte, 32), hexBytes(zeros.Public()), accepted},
		{"31 bytes", private[1:], nil, refused("wrong length")},
		{"64 bytes, seed and public key", slices.Concat(private, hexBytes(signer.Public())), nil, refused("wrong length")},
		{"nothing", nil, nil, refused("wrong length")},
	}
}

func intlPublicKeys(t testing.TB, s Suite) []vectorPublic {
	k := testSigner(t, s, "vector signer").Public()
	out := []vectorPublic{
		{"honest", hexBytes(k), accepted}, {"cut", hexBytes(k[1:]), refused("wrong length")},
		{"trailing byte", append(bytes.Clone(hexBytes(k)), 0), refused("wrong length")}, {"nothing", nil, refused("wrong length")},
	}
	for _, c := range edCases(nil) {
		if strings.HasPrefix(c.name, "key") {
			out = append(out, vectorPublic{c.name, hexBytes(c.key), verdict{c.valid, c.reason}})
		}
	}
	return out
}

func intlSignatures(s Suite) (out []vectorSignature) {
	for _, c := range edCases(SignedBytes(s, vectorDomain, []byte(vectorMessage))) {
		out = append(out, signatureCase(s, "crafted: "+c.name, c.key, vectorDomain, []byte(vectorMessage), c.sig, verdict{c.valid, c.reason}))
	}
	return out
}
