// Package codec is the one encoding of the ledger: deterministic CBOR (RFC 8949 section 4.2.1) of Go structs
// with integer keys, decoded strictly. Every byte string that is hashed, signed, stored or sent goes through it.
//
// There are two ways to the same bytes. The long one is the library with a check of our own before and a comparison after; it alone
// says what an error is. Structs of plain shapes have a plan, which writes and reads them in one pass, several times as fast, and
// leaves whatever it does not expect to the long way. Tests and fuzzing hold the two together.
//
// Struct fields carry `cbor:"N,keyasint"` tags; numbers are appended and never reused, and omitempty is not used.
package codec
