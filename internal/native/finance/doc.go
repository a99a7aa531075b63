// Package finance sells lots of vouchers to banks and factors: request, quote, accept, approve, register, disburse. The lot changes hands
// against the money, both or neither, and not before the public registration is recorded.
package finance
