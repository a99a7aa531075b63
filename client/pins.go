package client

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"aval/codec"
	"aval/ledger"
	"aval/suite"
)

// Pins keeps the newest verified epoch of a network. A Client calls it from one goroutine at a time.
type Pins interface {
	// Load returns the pin of network, nil if there is none.
	Load(network suite.Hash) (*ledger.Pin, error)
	// Save keeps pin in place of an older one.
	Save(pin *ledger.Pin) error
}

// MemoryPins keeps pins as long as the program runs. Its zero value is ready.
type MemoryPins struct {
	mu   sync.Mutex
	pins map[suite.Hash]ledger.Pin
}

// Load implements Pins.
func (m *MemoryPins) Load(network suite.Hash) (*ledger.Pin, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, ok := m.pins[network]; ok {
		return &p, nil
	}
	return nil, nil
}

// Save implements Pins.
func (m *MemoryPins) Save(pin *ledger.Pin) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pins == nil {
		m.pins = map[suite.Hash]ledger.Pin{}
	}
	m.pins[pin.Network] = *pin
	return nil
}

// PinDir keeps each network's pin in a file of this directory, named by the network id.
type PinDir string

// pinBytesMax bounds a pin file.
const pinBytesMax = 64 << 10

func (d PinDir) path(network suite.Hash) string {
	return filepath.Join(string(d), "pin-"+network.String()+".cbor")
}

// Load implements Pins. A damaged file is an error: whoever deletes it begins with the genesis again.
func (d PinDir) Load(network suite.Hash) (*ledger.Pin, error) {
	path := d.path(network)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, pinBytesMax+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	p, err := decodePin(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; delete it to begin with the genesis again", path, err)
	}
	return p, nil
}

func decodePin(b []byte) (*ledger.Pin, error) {
	if len(b) > pinBytesMax {
		return nil, fmt.Errorf("more than %d bytes", pinBytesMax)
	}
	var p ledger.Pin
	if err := codec.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	if len(p.Validators) == 0 || len(p.Validators) > ledger.ValidatorsMax {
		return nil, fmt.Errorf("%d validators", len(p.Validators))
	}
	return &p, nil
}

// Save implements Pins. The file is replaced atomically.
func (d PinDir) Save(pin *ledger.Pin) error {
	b, err := codec.Marshal(pin)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(string(d), ".pin-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), d.path(pin.Network))
}
