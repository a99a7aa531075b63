package node

import (
	"fmt"
	"io"
	"os"
	"time"

	"aval/internal/config"
	"aval/internal/keyfile"
	"aval/ledger"
	"aval/suite"
)

// Load reads the files that a node's configuration names: genesis and key. passphrase opens the key. It also decides, for the
// whole process, who verifies SM2 signatures and hashes with SM3.
func Load(c *config.Node, passphrase []byte) (Config, error) {
	out, err := LoadData(c)
	if err != nil {
		return Config{}, err
	}
	file, err := keyfile.Read(c.Path(c.Key))
	if err != nil {
		return Config{}, fmt.Errorf("node key: %w", err)
	}
	if file.Suite != out.Suite.ID() {
		return Config{}, fmt.Errorf("node key %s is of suite %d, the network's is %s", c.Path(c.Key), file.Suite, out.Suite.Name())
	}
	if out.Self, err = file.Open(passphrase); err != nil {
		return Config{}, fmt.Errorf("node key %s: %w", c.Path(c.Key), err)
	}
	return out, nil
}

// LoadData is Load without the key: what it returns does for work on the data of a node that does not run.
func LoadData(c *config.Node) (Config, error) {
	genesis, s, err := loadGenesis(c.Path(c.Genesis))
	if err != nil {
		return Config{}, err
	}
	suite.SetFastSM2(c.Crypto.SM2 != "library")
	suite.SetFastSM3(c.Crypto.SM3 != "library")
	out := Config{
		Name: c.Name, Role: Role(c.Role), Genesis: genesis, Suite: s, DataDir: c.Path(c.DataDir),
		PeerListen: c.Link.Listen, HTTPListen: c.HTTP.Listen, DebugListen: c.Debug.Listen, Audit: c.Audit, Control: true,
		BatchAge:   time.Duration(c.Intake.BatchAgeMs) * time.Millisecond,
		PendingMax: c.Intake.PendingMax, CacheBytes: c.Store.CacheBytes, KeepHeights: uint64(c.Store.KeepHeights),
		FetchSnapshot: c.Snapshot.Fetch, SnapshotEvery: uint64(c.Snapshot.EveryHeights), KeepSnapshots: c.Snapshot.Keep,
	}
	if len(genesis.Validators) == 1 && out.Role == RoleValidator {
		out.Role = RoleDev
	}
	for _, p := range c.Peers {
		out.Peers = append(out.Peers, Peer{Name: p.Name, Key: p.Key, Address: p.Address})
	}
	return out, nil
}

func loadGenesis(path string) (*ledger.Genesis, suite.Suite, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("genesis: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	raw, err := io.ReadAll(io.LimitReader(f, ledger.GenesisBytesMax+1))
	if err != nil {
		return nil, nil, fmt.Errorf("genesis: %w", err)
	}
	return ledger.DecodeGenesis(raw)
}
