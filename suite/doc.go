// Package suite holds the two sets of algorithms a network may run on, chosen once in its genesis: sm, the
// Chinese national algorithms, and intl, an international set. Primitives come from libraries; this package
// fixes encodings, domain separation and what is refused.
//
// # Framing, for clients in other languages
//
// u32(x) is the length of x in bytes as four bytes, big-endian. For a domain such as "tx-id":
//
//	tag       = "aval/" ‖ suite name ‖ "/" ‖ domain          (ASCII, for example "aval/sm/tx-id")
//	Hash      = H( u32(tag) ‖ tag ‖ u32(part 1) ‖ part 1 ‖ … ‖ u32(part n) ‖ part n )
//	M(message)=    u32(tag) ‖ tag ‖ message
//
// where H is SM3 in sm and SHA-256 in intl. A signature signs M, never a bare digest.
//
// # Signatures in sm
//
// SM2 (GB/T 32918.2) over e = SM3(ZA ‖ M), where ZA uses the fixed user id "1234567812345678". A signature is
// 65 bytes: r (32, big-endian) ‖ s (32, big-endian) ‖ flag. With (x1, y1) = s·G + (r+s)·P, the nonce point,
// flag = (y1 mod 2) + 2·[x1 ≥ n]. A verifier refuses a flag that differs, so that each (r, s) has one
// encoding, and one point to check in a batch. A public key is the 33-byte compressed point; a private key is
// 32 bytes, big-endian, in [1, n−2].
//
// # Signatures in intl
//
// Ed25519 (RFC 8032) over M, 64 bytes. The rule is the cofactored one, because it is the only one for which
// checking a batch and checking one by one can accept the same set: a signature R ‖ s by key A is valid if
// and only if A and R are canonical encodings of curve points (y < p, and no sign bit on x = 0), A is not of
// small order, s < L, and [8][s]B = [8]R + [8][SHA-512(R ‖ A ‖ M) mod L]A. A public key is 32 bytes; a private
// key is the 32-byte seed of RFC 8032.
//
// # Sealing
//
// nonce (12 bytes, random) ‖ ciphertext ‖ tag (16 bytes): SM4-GCM under 16-byte keys in sm (RFC 8998), AES-256-GCM
// under 32-byte keys in intl (SP 800-38D).
package suite
