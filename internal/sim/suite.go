package sim

import (
	"aval/suite"
)

// remembering is a suite that remembers which signatures it found valid: all nodes of one process verify the same ones. What is
// valid does not change by that. It is used by one simulation.
type remembering struct {
	suite.Suite
	known map[string]bool
}

func remember(s suite.Suite) *remembering { return &remembering{Suite: s, known: map[string]bool{}} }

// Verify implements suite.Suite.
func (r *remembering) Verify(k suite.PublicKey, domain suite.Domain, message []byte, sig suite.Signature) bool {
	sum := r.Sum(k, []byte{byte(len(domain))}, []byte(domain), sig, message)
	valid, ok := r.known[string(sum[:])]
	if !ok {
		valid = r.Suite.Verify(k, domain, message, sig)
		r.known[string(sum[:])] = valid
	}
	return valid
}

// VerifyBatch implements suite.Suite.
func (r *remembering) VerifyBatch(items []suite.Signed) []bool {
	out := make([]bool, len(items))
	for i := range items {
		out[i] = r.Verify(items[i].Key, items[i].Domain, items[i].Message, items[i].Sig)
	}
	return out
}
