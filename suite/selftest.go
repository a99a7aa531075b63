package suite

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// known is one known answer: got must equal want.
type known struct {
	name string
	got  func() ([]byte, error)
	want string
}

// check runs every known-answer test and returns the first that fails.
func check(tests []known) error {
	for _, k := range tests {
		got, err := k.got()
		if err != nil {
			return fmt.Errorf("suite: self test %s: %w", k.name, err)
		}
		if !bytes.Equal(got, unhex(k.want)) {
			return fmt.Errorf("suite: self test %s: got %x, want %s", k.name, got, k.want)
		}
	}
	return nil
}

// The example of GB/T 32918.5 appendix A.2: message "message digest", user id "1234567812345678".
const (
	gbPrivate = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
	gbPublic  = "0309f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
	gbZA      = "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"
	gbDigest  = "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"
	gbR       = "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
	gbS       = "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
	gbFlag    = 0 // y1 ends in f0, x1 begins with 04
	gbMessage = "message digest"
)

// SelfTest implements Suite: GB/T 32905 example 1, hashes of many messages against those of one, GB/T 32907 example 1, GB/T
// 32918.5 appendix A.2, RFC 8998 appendix A.1.
func (s *sm) SelfTest() error {
	if err := check([]known{
		{"SM3 abc", s.sumABC, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"},
		{"SM3 of many", s.sumMany, ""},
		{"SM4 example 1", func() ([]byte, error) {
			key := unhex("0123456789abcdeffedcba9876543210")
			block, err := s.newBlock(key)
			if err != nil {
				return nil, err
			}
			block.Encrypt(key, key)
			return key, nil
		}, "681edf34d206965e86b3e94f536e4246"},
		{"SM4-GCM", func() ([]byte, error) {
			return s.sealWith([sealNonceSize]byte(unhex("00001234567800000000abcd")),
				unhex("0123456789abcdeffedcba9876543210"),
				unhex("aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"),
				unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"))
		}, "00001234567800000000abcd17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d83de3541e4c2b58177e065a9bf7b62ec"},
		{"SM2 public key", func() ([]byte, error) { return publicOf(s, gbPrivate) }, gbPublic},
		{"SM2 ZA", func() ([]byte, error) { return hashBytes(SM2ZA(unhex(gbPublic))) }, gbZA},
		{"SM2 digest", func() ([]byte, error) { return hashBytes(SM2Digest(unhex(gbPublic), []byte(gbMessage))) }, gbDigest},
		{"SM2 verify", s.gbVerify, "01000000" + "00"},
	}); err != nil {
		return err
	}
	return signAndVerify(s, gbPrivate)
}

// gbVerify returns whether the example signature verifies with each flag, and then with another digest.
func (s *sm) gbVerify() ([]byte, error) {
	key, err := s.key(unhex(gbPublic))
	if err != nil {
		return nil, err
	}
	var out []byte
	e := Hash(unhex(gbDigest))
	rs := unhex(gbR + gbS)
	for flag := range byte(4) {
		out = append(out, boolByte(key.verify(e, append(bytes.Clone(rs), flag))))
	}
	e[0] ^= 1
	return append(out, boolByte(key.verify(e, append(bytes.Clone(rs), gbFlag)))), nil
}

// SelfTest implements Suite: FIPS 180-4 example, the GCM specification's test case 14, RFC 8032 section 7.1
// tests 1 and 2.
func (s *intl) SelfTest() error {
	if err := check([]known{
		{"SHA-256 abc", s.sumABC, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"AES-256-GCM", func() ([]byte, error) {
			return s.sealWith([sealNonceSize]byte{}, make([]byte, 32), make([]byte, 16), nil)
		}, "000000000000000000000000cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
		{"Ed25519 test 1", func() ([]byte, error) {
			return rfc8032(s, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "")
		},
			"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" +
				"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" + "0100"},
		{"Ed25519 test 2", func() ([]byte, error) {
			return rfc8032(s, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72")
		},
			"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c" +
				"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" + "0100"},
	}); err != nil {
		return err
	}
	return signAndVerify(s, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
}

// rfc8032 returns public key ‖ signature ‖ whether it verifies ‖ whether it verifies for another message.
func rfc8032(s *intl, seed, message string) ([]byte, error) {
	signer, err := s.ParsePrivate(unhex(seed))
	if err != nil {
		return nil, err
	}
	public, m := signer.Public(), unhex(message)
	sig, err := signer.(*intlSigner).raw(m)
	if err != nil {
		return nil, err
	}
	key, err := s.key(public)
	if err != nil {
		return nil, err
	}
	out := append(append([]byte(nil), public...), sig...)
	out = append(out, boolByte(verifyEd25519(key, m, sig)))
	return append(out, boolByte(verifyEd25519(key, append(m, 0), sig))), nil
}

// signAndVerify checks the whole path once, with the one-by-one and the batch verifier, and that a wrong
// domain is refused by both.
func signAndVerify(s Suite, private string) error {
	const domain, other = Domain("self-test"), Domain("self-test-2")
	signer, err := s.ParsePrivate(unhex(private))
	if err != nil {
		return fmt.Errorf("suite: self test: %w", err)
	}
	message := []byte("self test")
	sig, err := signer.Sign(domain, message)
	if err != nil {
		return fmt.Errorf("suite: self test: %w", err)
	}
	public := signer.Public()
	batch := s.VerifyBatch([]Signed{{public, domain, message, sig}, {public, other, message, sig}})
	single := []bool{s.Verify(public, domain, message, sig), s.Verify(public, other, message, sig)}
	if !batch[0] || batch[1] || !single[0] || single[1] {
		return fmt.Errorf("suite: self test of %s: sign and verify: batch %v, single %v", s.Name(), batch, single)
	}
	return nil
}

// sumABC hashes the example message of the hash standards, in one piece and in two.
func (h *hashing) sumABC() ([]byte, error) {
	one, two := h.Sum([]byte("abc")), h.Sum([]byte("a"), []byte("bc"))
	if one != two {
		return nil, fmt.Errorf("one piece gives %s, two give %s", one, two)
	}
	return one[:], nil
}

// sumMany hashes many messages at once, of all lengths up to a few blocks, and returns those digests that differ from one
// by one.
func (s *sm) sumMany() (wrong []byte, err error) {
	messages, out := make([][]byte, 160), make([]Hash, 160)
	for i := range messages {
		messages[i] = bytes.Repeat([]byte{byte(i), 'a', 'b', 'c'}, i+1)[1 : 2*i+1]
	}
	packed := bytes.Join(messages, nil)
	for _, try := range []struct {
		many func()
		one  func(i int) Hash
	}{
		{func() { SumMany(s, []byte{0}, messages, out) }, func(i int) Hash { return s.Sum([]byte{0}, messages[i]) }},
		{func() { HashMany(s, "self-test", messages, out) }, func(i int) Hash { return s.Hash("self-test", messages[i]) }},
		{func() { SumPacked(s, 129, packed, out) }, func(i int) Hash { return s.Sum(packed[129*i : 129*(i+1)]) }},
	} {
		try.many()
		for i := range out {
			if out[i] != try.one(i) {
				wrong = append(wrong, out[i][:]...)
			}
		}
	}
	return wrong, nil
}

func publicOf(s Suite, private string) ([]byte, error) {
	signer, err := s.ParsePrivate(unhex(private))
	if err != nil {
		return nil, err
	}
	return signer.Public(), nil
}

func hashBytes(h Hash, err error) ([]byte, error) { return h[:], err }

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// unhex decodes a constant of this package; one that is not hexadecimal is a mistake in the program.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
