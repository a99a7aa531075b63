package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aval/api"
	"aval/codec"
)

type heightInput struct {
	Height string `path:"height" maxLength:"20" doc:"Height of the block, from 1"`
}

type healthOutput struct {
	Status int
	Body   api.Health
}

func (s *Server) routeNetwork(a huma.API) {
	get(a, api.PathBlock, "get-block", "A block's header, certificate and receipts in brief", "network", s.block)
	get(a, api.PathStatus, "get-status", "How the node and its network are", "network", s.status)
	get(a, api.PathNetwork, "get-network", "Which network this is", "network", s.network)
	getFile(a, api.PathGenesis, "get-genesis", "The genesis file", "network", s.genesis)
	huma.Register(a, huma.Operation{OperationID: "health", Method: http.MethodGet, Path: api.PathHealth, Tags: []string{"network"},
		Summary: "200 if the node can serve, else 503", Responses: problems(a)}, s.health)
}

func (s *Server) block(_ context.Context, in *heightInput) (*body[api.Block], error) {
	height, err := parseHeight(in.Height)
	if err != nil {
		return nil, err
	}
	b, err := s.cfg.Chain.Block(height)
	if err != nil {
		return nil, s.problemOf(err)
	}
	receipts, err := s.cfg.Chain.Receipts(height)
	if err != nil {
		return nil, s.problemOf(err)
	}
	_, set := s.cfg.Chain.Epoch()
	return &body[api.Block]{api.NewBlock(b.Header.Hash(s.cfg.Chain.Suite()), b.Header, b.Certificate, set, receipts)}, nil
}

func (s *Server) status(context.Context, *struct{}) (*body[api.Status], error) {
	return &body[api.Status]{s.cfg.Status()}, nil
}

func (s *Server) network(context.Context, *struct{}) (*body[api.Network], error) {
	return &body[api.Network]{s.cfg.Status().Network}, nil
}

func (s *Server) genesis(context.Context, *struct{}) (*raw, error) {
	b, err := codec.Marshal(s.cfg.Chain.Genesis())
	if err != nil {
		return nil, s.problemOf(err)
	}
	return &raw{ContentType: api.MediaCBOR, Body: b}, nil
}

// health answers for load balancers: a node that serves reads is healthy although its network stands still; a node whose
// execution stopped is not.
func (s *Server) health(context.Context, *struct{}) (*healthOutput, error) {
	progress, _ := s.cfg.Chain.Progress()
	out := &healthOutput{Status: http.StatusOK, Body: api.Health{OK: true, Height: progress.Committed}}
	if err := s.cfg.Chain.Broken(); err != nil {
		out.Status, out.Body.OK, out.Body.Cause = http.StatusServiceUnavailable, false, err.Error()
	}
	return out, nil
}
