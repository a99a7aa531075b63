// Package server is a node's HTTP interface: transactions in, receipts, records and proofs out, and what an operator asks.
// Shapes and paths are those of package api; the OpenAPI document is made from the handlers.
package server
