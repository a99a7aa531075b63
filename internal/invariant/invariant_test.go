package invariant

import (
	"errors"
	"testing"
)

// violation returns what f panics with.
func violation(f func()) (err error) {
	defer Recover(&err)
	f()
	return nil
}

func TestCheck(t *testing.T) {
	if err := violation(func() { Check(true, "never") }); err != nil {
		t.Fatal(err)
	}
	err := violation(func() { Check(false, "applied %d <= committed %d", 3, 2) })
	var v *Violation
	if !errors.As(err, &v) || v.Message != "applied 3 <= committed 2" || v.Cause != nil {
		t.Fatalf("got %v", err)
	}
	if want := "invariant violated: applied 3 <= committed 2"; err.Error() != want {
		t.Fatalf("got %q, want %q", err, want)
	}
}

func TestExpensive(t *testing.T) {
	cause := errors.New("sum is 3, not 2")
	ran := false
	err := violation(func() {
		Expensive(func() error {
			ran = true
			return cause
		})
	})
	if ran != Enabled {
		t.Fatalf("ran %v, enabled %v", ran, Enabled)
	}
	if errors.Is(err, cause) != Enabled {
		t.Fatalf("enabled %v, got %v", Enabled, err)
	}
	if err := violation(func() { Expensive(func() error { return nil }) }); err != nil {
		t.Fatal(err)
	}
}

func TestRecoverLetsOtherPanicsPass(t *testing.T) {
	defer func() {
		if r := recover(); r != "other" {
			t.Fatalf("recovered %v", r)
		}
	}()
	_ = violation(func() { panic("other") })
	t.Fatal("the panic was swallowed")
}
