package catchup_test

import (
	"testing"

	"aval/codec"
	"aval/internal/appetite"
	"aval/internal/catchup"
)

// TestAppetite gives every decoder what is worst for it.
func TestAppetite(t *testing.T) {
	for _, d := range []struct {
		zero   any
		decode func(b []byte)
	}{
		{&catchup.Request{}, func(b []byte) { _, _ = catchup.DecodeRequest(b) }},
		{&catchup.Response{}, func(b []byte) { _, _ = catchup.DecodeResponse(b) }},
	} {
		appetite.CheckAll(t, append(appetite.Worst(d.zero, codec.Marshal, 1<<20), appetite.Malformed(1<<20)...), d.decode)
	}
}
