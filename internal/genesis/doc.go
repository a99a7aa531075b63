// Package genesis founds networks: it makes the keys of nodes, of the root authority's members, of the identity issuer and of
// the lab clock, the genesis that names them, and a directory with a home for every node.
//
//	DIR/genesis.cbor               the genesis, for everybody
//	DIR/validator-0/ …             one home per validator: see package config
//	DIR/gateway-0/ …               one home per observer
//	DIR/client/client.toml         profile for the command line
//	DIR/client/keys/*.key          the authority's, the identity issuer's and the clock's keys
package genesis
