package node

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// AccusationsDir is the directory, under the data directory, of proofs of false attestations.
const AccusationsDir = "false-attestations"

// keepAccusation writes the proof that validators attested a batch falsely and says so in log and status.
func (n *Node) keepAccusation(digest suite.Hash, proof *ledger.FalseAttestation) {
	path := filepath.Join(n.cfg.path(AccusationsDir), digest.String()+".proof")
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, codec.MustMarshal(proof), 0o600)
	}
	a, verr := proof.Verify(n.cfg.Suite, n.cfg.Genesis.NetworkID(n.cfg.Suite), n.cfg.Genesis.Validators)
	if err := errors.Join(err, verr); err != nil {
		n.log.Error("proof of a false attestation not kept", slog.Any("batch", digest), slog.Any("error", err))
		return
	}
	n.log.Error("validators attested a batch falsely", slog.Any("batch", digest), slog.Any("tx", a.Tx), slog.Any("validators", a.Validators),
		slog.String("proof", path))
	text := fmt.Sprintf("%v attested a batch with an invalid signature; the proof is %s: hand it to the authority", a.Validators, path)
	n.accusations.Store(&text)
}
