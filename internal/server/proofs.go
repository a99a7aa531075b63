package server

import (
	"context"
	"encoding/hex"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
	"aval/codec"
	"aval/ledger"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

type keyInput struct {
	Key string `path:"key" minLength:"2" maxLength:"512" doc:"Raw state key in hexadecimal"`
}

func (s *Server) routeProofs(a huma.API) {
	getFile(a, api.PathStateProof, "prove-state", "Fetch the portable proof of a state value, or of its absence", "proofs", s.stateProof)
}

func (s *Server) stateProof(_ context.Context, in *keyInput) (*raw, error) {
	key, err := hex.DecodeString(in.Key)
	if err != nil || len(key) > ledger.StateKeyBytesMax {
		return nil, api.NewProblem(http.StatusBadRequest, api.NameArgument, "give the key in hexadecimal", "state key %q is not 1 to %d bytes in hexadecimal", in.Key, ledger.StateKeyBytesMax)
	}
	return s.proof(s.cfg.Chain.ProveState(key))
}

func (s *Server) proof(p *ledger.Proof, err error) (*raw, error) {
	if err != nil {
		return nil, s.problemOf(err)
	}
	b, err := codec.Marshal(p)
	if err != nil {
		return nil, s.problemOf(err)
	}
	return &raw{ContentType: api.MediaCBOR, Body: b}, nil
}
