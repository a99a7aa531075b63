// Package keyfile stores private keys encrypted at rest.
//
// A key file is deterministic CBOR and ends in .key. The private key is sealed by the suite's cipher under a key stretched
// from a passphrase with PBKDF2 over the suite's hash; everything else in the file is bound to it as additional data, so that
// a file whose label, public key or cost was changed does not open. Files are written atomically, readable by their owner
// only, and never over one that exists unless asked.
package keyfile
