// Package intake takes transactions from clients: it admits them (size, form, window, signatures, duplicates), collects
// them into batches, hands the batches to ordering until they are ordered, and tells whoever waits what became of
// each. A transaction that intake has admitted is not yet acknowledged: only its receipt is.
package intake
