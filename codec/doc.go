// Package codec is the one encoding of the ledger: deterministic CBOR (RFC 8949 section 4.2.1) of Go structs
// with integer keys, decoded strictly. Every byte string that is hashed, signed, stored or sent goes through it.
//
// Struct fields carry `cbor:"N,keyasint"` tags; numbers are appended and never reused, and omitempty is not used.
package codec
