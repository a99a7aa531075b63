// Package config reads how a node runs: from config.toml in its home, then the environment, then flags, each over the one
// before. Unknown keys are errors, and every problem is reported at once. Names carry their unit last.
//
// A node's home holds:
//
//	genesis.cbor    the network
//	config.toml     this configuration
//	keys/node.key   the node's private key, encrypted
//	data/           blocks, state and the engine's log
package config
