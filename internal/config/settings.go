package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Setting is one key of the configuration that the environment and flags can set too.
type Setting struct {
	// Key is its place in the file, such as "http.listen".
	Key string
	// Usage says what it is for, in a few words.
	Usage string
	field func(*Node) any
}

// Settings returns every setting, in the order of the file. Peers are set in the file only.
func Settings() []Setting {
	return []Setting{
		{"name", "name of the node", func(n *Node) any { return &n.Name }},
		{"role", "validator or gateway", func(n *Node) any { return &n.Role }},
		{"genesis", "path of the genesis file", func(n *Node) any { return &n.Genesis }},
		{"key", "path of the node's key file", func(n *Node) any { return &n.Key }},
		{"passphrase_file", "file with the key's passphrase", func(n *Node) any { return &n.PassphraseFile }},
		{"data_dir", "directory of the stores", func(n *Node) any { return &n.DataDir }},
		{"audit", "verify every signature of every block again", func(n *Node) any { return &n.Audit }},
		{"http.listen", "address of the HTTP interface", func(n *Node) any { return &n.HTTP.Listen }},
		{"link.listen", "address of the links to other nodes", func(n *Node) any { return &n.Link.Listen }},
		{"log.level", "debug, info, warn or error", func(n *Node) any { return &n.Log.Level }},
		{"log.format", "text or json", func(n *Node) any { return &n.Log.Format }},
		{"intake.batch_age_ms", "how long a batch waits for company, ms", func(n *Node) any { return &n.Intake.BatchAgeMs }},
		{"intake.pending_max", "transactions under way, at most", func(n *Node) any { return &n.Intake.PendingMax }},
		{"store.cache_bytes", "cache of the store of blocks", func(n *Node) any { return &n.Store.CacheBytes }},
		{"store.keep_heights", "heights of blocks kept, 0: all", func(n *Node) any { return &n.Store.KeepHeights }},
		{"snapshot.every_heights", "heights between two snapshots, 0: none", func(n *Node) any { return &n.Snapshot.EveryHeights }},
		{"snapshot.keep", "snapshots kept", func(n *Node) any { return &n.Snapshot.Keep }},
		{"snapshot.fetch", "may begin from a peer's snapshot", func(n *Node) any { return &n.Snapshot.Fetch }},
		{"crypto.sm2", "fast or library: who verifies SM2 signatures", func(n *Node) any { return &n.Crypto.SM2 }},
		{"crypto.sm3", "fast or library: who hashes many messages with SM3", func(n *Node) any { return &n.Crypto.SM3 }},
		{"debug.listen", "loopback address of runtime profiles", func(n *Node) any { return &n.Debug.Listen }},
	}
}

// Env returns the environment variable of the setting: AVAL_NODE_ and the key in capitals.
func (s Setting) Env() string {
	return "AVAL_NODE_" + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Flag returns the flag of the setting: the key with dashes.
func (s Setting) Flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key) }

// Switch reports whether the setting is true or false, so that its flag needs no value.
func (s Setting) Switch() bool {
	_, ok := s.field(new(Node)).(*bool)
	return ok
}

// apply sets the field from text that came from where.
func (s Setting) apply(n *Node, text, where string) error {
	switch field := s.field(n).(type) {
	case *string:
		*field = text
	case *int:
		v, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%s: %q is not a whole number", where, text)
		}
		*field = v
	case *bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%s: %q is neither true nor false", where, text)
		}
		*field = v
	case *int64:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%s: %q is not a whole number", where, text)
		}
		*field = v
	}
	return nil
}

func dotted(key []string) string { return strings.Join(key, ".") }
