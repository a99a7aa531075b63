// Package money keeps what banks owe: named banks' deposit liabilities, never coins. A bank's money is minted and burnt by
// that bank alone and never held by it; between two banks a payment burns, mints and books what one owes the other.
package money
