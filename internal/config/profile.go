package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/pelletier/go-toml/v2"

	"aval/ledger"
)

// ProfileName is the file in a client's home.
const ProfileName = "client.toml"

// Profile is how one person uses the command line. Relative paths are relative to the profile's directory.
type Profile struct {
	Nodes   []string          `toml:"nodes" comment:"URLs of nodes, tried in order."`
	Genesis string            `toml:"genesis" comment:"The network's genesis file. Relative paths start at this directory."`
	Keys    string            `toml:"keys,omitempty" comment:"Directory of key files; default: keys."`
	Parties map[string]string `toml:"parties" comment:"Short names for parties, to be used instead of legal ids."`
}

// LoadProfile reads the profile in home. A home without one yields an empty profile.
func LoadProfile(home string) (*Profile, error) {
	path := filepath.Join(home, ProfileName)
	p := &Profile{Nodes: []string{}, Parties: map[string]string{}}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	if len(b) > fileBytesMax {
		return nil, fmt.Errorf("%s has more than %d bytes", path, fileBytesMax)
	}
	if err := decodeTOML(path, b, p); err != nil {
		return nil, err
	}
	return p, p.Validate()
}

// Validate reports every problem of p at once.
func (p *Profile) Validate() error {
	var errs []error
	aliases := make([]string, 0, len(p.Parties))
	for alias := range p.Parties {
		aliases = append(aliases, alias)
	}
	sort.Strings(aliases)
	for _, alias := range aliases {
		if err := ledger.PartyID(p.Parties[alias]).Check(); err != nil {
			errs = append(errs, fmt.Errorf("profile: party %q: %w", alias, err))
		}
	}
	return errors.Join(errs...)
}

// Encode returns the profile as TOML.
func (p *Profile) Encode() ([]byte, error) {
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(p); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Save writes the profile to home, in place of what stands there.
func (p *Profile) Save(home string) error {
	b, err := p.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(home, ".client-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), filepath.Join(home, ProfileName))
}
