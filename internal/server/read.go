package server

import (
	"aval/api"
	"aval/codec"
	"aval/internal/chain"
	"aval/internal/vm"
	"aval/ledger"
)

// reader reads records of one executed height.
type reader struct {
	*vm.Journal
	at    api.AsOf
	grace uint16
}

// read runs fn over one height and turns its errors into problems.
func read[T any](s *Server, fn func(r *reader) (T, error)) (*body[T], error) {
	var out body[T]
	err := s.cfg.Chain.Read(func(j *vm.Journal, at chain.At) (err error) {
		r := &reader{Journal: j, at: api.AsOf{Height: at.Height, Time: at.Time}, grace: s.cfg.Chain.Genesis().Params.GraceDays}
		out.Body, err = fn(r)
		return err
	})
	if err != nil {
		return nil, s.problemOf(err)
	}
	return &out, nil
}

// record loads one record or says that it is missing.
func record[T any](r *reader, key []byte, what, id string) (T, error) {
	v, ok := vm.Load[T](r.Journal, key)
	if !ok {
		return v, missing("%s %s is not on the ledger as of height %d", what, id, r.at.Height)
	}
	return v, nil
}

// pageOf reads one page of a list of encoded records and converts its items.
func pageOf[Item, View any](r *reader, name ledger.ListName, page uint64, view func(Item) (View, error)) (api.List[View], error) {
	return rawPageOf(r, name, page, func(raw []byte) (v View, err error) {
		var item Item
		if err := codec.Unmarshal(raw, &item); err != nil {
			return v, err
		}
		return view(item)
	})
}

// rawPageOf reads one page of a list whose items are bare ids.
func rawPageOf[View any](r *reader, name ledger.ListName, page uint64, view func([]byte) (View, error)) (api.List[View], error) {
	out := api.List[View]{AsOf: r.at, Page: page, Count: vm.Count(r.Journal, name), Items: []View{}}
	stored, _ := vm.Load[ledger.ListPage](r.Journal, ledger.ListPageKey(name, page))
	for _, raw := range stored.Items {
		v, err := view(raw)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, v)
	}
	return out, nil
}
