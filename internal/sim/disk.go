package sim

import (
	"errors"

	"aval/internal/kv"
)

// disk is one store of a node, which fails as it is told to. A power cut takes all disks of the node.
type disk struct {
	*kv.Faulty
	node *node
}

func newDisk(n *node) (*disk, error) {
	f, err := kv.NewFaulty(kv.NewMemory(), kv.Faults{})
	return &disk{Faulty: f, node: n}, err
}

// Apply implements kv.Store.
func (d *disk) Apply(b *kv.Batch, sync bool) error {
	err := d.Faulty.Apply(b, sync)
	if errors.Is(err, kv.ErrCrashed) {
		d.node.cutPower()
	}
	if sync && d.node.slow > 0 {
		d.node.busyFor(d.node.slow)
	}
	return err
}

// disks are a node's stores.
type disks struct{ blocks, state, votes *disk }

func newDisks(n *node) (d disks, err error) {
	for _, at := range []**disk{&d.blocks, &d.state, &d.votes} {
		if *at, err = newDisk(n); err != nil {
			return d, err
		}
	}
	return d, nil
}

// all returns every disk, in a fixed order.
func (d *disks) all() []*disk { return []*disk{d.blocks, d.state, d.votes} }
