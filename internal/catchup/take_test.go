package catchup_test

import (
	"testing"

	"aval/codec"
	"aval/internal/catchup"
)

// Take imports what a caller carried itself, as far as it is good, and says how far that was.
func TestTake(t *testing.T) {
	under(t, 5, func(w *world) {
		source, own := w.open(5), w.open(2)
		c := w.catchup(own)
		request := catchup.Request{From: 3, Count: 3}
		answer, err := w.catchup(source).Serve(w.Context(), codec.MustMarshal(&request))
		if err != nil {
			t.Fatal(err)
		}
		response, err := catchup.DecodeResponse(answer)
		if err != nil {
			t.Fatal(err)
		}
		response.Blocks[1] = w.sealed(5) // not the one after 3
		if _, blocks, err := c.Take(request, codec.MustMarshal(response)); err == nil || blocks != 1 || own.Head().Header.Height != 3 {
			t.Fatalf("took %d blocks up to %d: %v", blocks, own.Head().Header.Height, err)
		}
		if _, _, err := c.Take(catchup.Request{From: 3, Count: 1}, answer); err == nil {
			t.Fatal("took more blocks than were asked for")
		}
		if _, _, err := c.Take(request, answer[1:]); err == nil {
			t.Fatal("took what does not decode")
		}
		head, blocks, err := c.Take(request, answer)
		if err != nil || head != 5 || blocks != 3 || own.Head().Header.Height != 5 {
			t.Fatalf("took %d blocks up to %d, the peer is at %d: %v", blocks, own.Head().Header.Height, head, err)
		}
	})
}
