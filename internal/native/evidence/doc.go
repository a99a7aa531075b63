// Package evidence keeps the trade evidence behind vouchers: invoices with the fingerprints of contract and goods receipt, and how
// much of each face has been drawn. The sum of all uses of an invoice never exceeds its face.
package evidence
