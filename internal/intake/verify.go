package intake

import (
	"sync"

	"aval/suite"
)

// verifier verifies the signatures of what is being admitted, all that wait together, since a batch costs a fraction of its
// parts. What comes alone is verified at once. It is safe for concurrent use.
type verifier struct {
	suite suite.Suite

	mu sync.Mutex
	// few are wishes for few signatures, many those for more: whoever sends thousands at once waits for who sends one.
	few, many []*verification
	running   int
}

// verification is a wish for some signatures to be verified.
type verification struct {
	items []suite.Signed
	valid []bool // set before done is closed
	done  chan struct{}
}

const (
	// verifiersMax is how many batches are verified at once.
	verifiersMax = 4
	// verifyMax bounds the signatures of one batch, unless one wish alone has more.
	verifyMax = 1024
	// verifyFew is how many signatures are few.
	verifyFew = 16
)

// verify reports which of the signatures are valid.
func (v *verifier) verify(items []suite.Signed) []bool {
	if len(items) == 0 {
		return nil
	}
	w := &verification{items: items, done: make(chan struct{})}
	v.mu.Lock()
	if len(items) <= verifyFew {
		v.few = append(v.few, w)
	} else {
		v.many = append(v.many, w)
	}
	start := v.running < verifiersMax
	if start {
		v.running++
	}
	v.mu.Unlock()
	if start {
		go v.run()
	}
	<-w.done
	return w.valid
}

// run verifies until nothing waits.
func (v *verifier) run() {
	for {
		batch := v.take()
		if len(batch) == 0 {
			return
		}
		var items []suite.Signed
		for _, w := range batch {
			items = append(items, w.items...)
		}
		valid := v.suite.VerifyBatch(items)
		for _, w := range batch {
			w.valid, valid = valid[:len(w.items)], valid[len(w.items):]
			close(w.done)
		}
	}
}

// take returns what is to be verified next; if nothing is, the caller counts as running no more.
func (v *verifier) take() (batch []*verification) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for _, waiting := range []*[]*verification{&v.few, &v.many} {
		for len(*waiting) > 0 && (n == 0 || n+len((*waiting)[0].items) <= verifyMax) {
			n += len((*waiting)[0].items)
			batch = append(batch, (*waiting)[0])
			(*waiting)[0] = nil
			*waiting = (*waiting)[1:]
		}
	}
	if len(batch) == 0 {
		v.running--
	}
	return batch
}
