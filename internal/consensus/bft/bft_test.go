package bft_test

import (
	"testing"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/proto"

	"aval/internal/consensus"
	"aval/internal/consensus/bft"
	"aval/internal/consensus/conformance"
)

var factory = conformance.Factory{
	Validators: 4,
	New:        func(e conformance.Env) (consensus.Engine, error) { return bft.New(config(e)) },
	View: func(metadata []byte) (uint64, error) {
		md := &smartbftprotos.ViewMetadata{}
		err := proto.Unmarshal(metadata, md)
		return md.ViewId, err
	},
}

func config(e conformance.Env) bft.Config {
	return bft.Config{Suite: e.Suite, Network: e.Network, Signer: e.Signer, Ledger: e.Ledger, Links: e.Links,
		Syncer: e.Syncer, Dir: e.Dir, PendingMax: e.PendingMax, Logger: e.Logger}
}

func TestConformance(t *testing.T) { conformance.Run(t, factory) }
