package exec

import (
	"testing"

	"aval/ledger"
)

// TestEveryKindHasAHandler: an operation that decodes must have something to execute it.
func TestEveryKindHasAHandler(t *testing.T) {
	handlers := (&Executor{}).newHandlers()
	for _, info := range ledger.Kinds() {
		if handlers[info.Kind] == nil {
			t.Errorf("%s has no handler", info.Name)
		}
		delete(handlers, info.Kind)
	}
	for kind := range handlers {
		t.Errorf("there is a handler for %s, which is no operation", kind)
	}
}
