package intake_test

import (
	"context"
	"slices"
	"testing"

	"aval/codec"
	"aval/internal/intake"
	"aval/ledger"
	"aval/suite"
)

// strangers' transactions have valid signatures by a key that nobody registered.
func (b *bench) strangersTx(key suite.Signer) []byte {
	tx := b.n.NewTx(b.n.OpenScope("/f"))
	tx.Tx.ValidUntil = b.chain.Now() + ledger.Minute
	id := tx.Tx.ID(b.n.Suite)
	sig, err := key.Sign(ledger.DomainTxSignature, id[:])
	if err != nil {
		b.Fatal(err)
	}
	tx.AddSignature(ledger.TxSignature{Key: key.Public(), Sig: sig})
	return codec.MustMarshal(tx)
}

// TestStrangersLeaveRoom floods an intake with transactions that no registered key signed: an eighth of the room is theirs, and what one
// registered key signed, alone or beside others, is admitted after it as before. What a stranger gave back, others get.
func TestStrangersLeaveRoom(t *testing.T) {
	var stranger suite.Signer
	under(t, func(c *intake.Config) {
		c.PendingMax, c.FlightsMax = 80, 1
		c.Known = func(key suite.PublicKey) bool { return string(key) != string(stranger.Public()) }
	}, func(b *bench) {
		b.order = func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }
		var err error
		if stranger, err = b.n.Suite.GenerateKey(nil); err != nil {
			b.Fatal(err)
		}
		count := func(raws [][]byte) (admitted, busy int) {
			for _, word := range says(b.in.AdmitAll(raws)) {
				switch word {
				case "admitted":
					admitted++
				case "BUSY":
					busy++
				}
			}
			return admitted, busy
		}
		several := func(n int, one func() []byte) (raws [][]byte) {
			for range n {
				raws = append(raws, one())
			}
			return raws
		}
		forged := func() []byte {
			raw := b.strangersTx(stranger)
			raw[len(raw)-3] ^= 1
			return raw
		}
		if admitted, busy := count(several(9, forged)); admitted != 0 || busy != 0 {
			b.Errorf("of nine forged, fewer than strangers may have wait: %d, %d busy", admitted, busy)
		}
		if admitted, busy := count(several(30, func() []byte { return b.strangersTx(stranger) })); admitted != 10 || busy != 20 {
			b.Errorf("of 30 strangers' transactions %d are admitted and %d told to wait", admitted, busy)
		}
		if load := b.in.Load(); load.Busy != 20 || load.Pending != 10 || load.Limit != 80 {
			b.Errorf("load %+v", load)
		}
		mixed := several(60, func() []byte { return b.tx("authority.a") })
		if admitted, busy := count(slices.Concat(several(3, func() []byte { return b.strangersTx(stranger) }), mixed)); admitted != 60 || busy != 3 {
			b.Errorf("of 60 beside strangers %d are admitted, %d told to wait", admitted, busy)
		}
		if admitted, busy := count(several(20, func() []byte { return b.tx("authority.a") })); admitted != 10 || busy != 10 {
			b.Errorf("at the end of all room %d are admitted, %d told to wait", admitted, busy)
		}
	})
}
