// Package api is the contract between a node and those who call it over HTTP: paths, media types, requests, answers and
// problems. The server serves these types, the client reads them, and OpenAPI is generated from their tags.
//
// Records of the ledger appear as they stand in the state, with their own JSON names, beside what the node computed from them
// and the ledger's time (lapsed, due, overdue, free …). Integers of 64 bits are strings of decimal digits: amounts in fen,
// times in milliseconds since 1970, heights. Dates are YYYY-MM-DD at UTC+8. Hashes and keys are lower-case hexadecimal.
package api
