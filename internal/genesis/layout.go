package genesis

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"aval/codec"
	"aval/internal/config"
	"aval/internal/keyfile"
	"aval/suite"
)

// Layout says where a network's nodes will run and how their keys are sealed.
type Layout struct {
	// Dir is made; it must not exist, or be empty.
	Dir string
	// Host is the address on which all nodes listen. Default 127.0.0.1.
	Host string
	// BasePort is node 0's HTTP port; node i has BasePort + i, and LinkPortOffset more for links. Validators come first.
	BasePort int
	// Passphrase seals every key file; Iterations is the cost, 0 for the suite's default.
	Passphrase []byte
	Iterations uint32
}

// LinkPortOffset is how far a node's link port lies above its HTTP port.
const LinkPortOffset = 1000

// ClientDir is the directory within Dir for whoever administers the network.
const ClientDir = "client"

// Node is one node of a written network.
type Node struct {
	Name string          `json:"name"`
	Role string          `json:"role"`
	Home string          `json:"home"`
	HTTP string          `json:"http"`
	Link string          `json:"link"`
	Key  suite.PublicKey `json:"key"`
}

// Nodes returns where every node will be, validators first.
func (n *Network) Nodes(l *Layout) []Node {
	var out []Node
	add := func(name, role string, key suite.PublicKey) {
		port := l.BasePort + len(out)
		out = append(out, Node{Name: name, Role: role, Key: key, Home: filepath.Join(l.Dir, name),
			HTTP: net.JoinHostPort(l.Host, strconv.Itoa(port)), Link: net.JoinHostPort(l.Host, strconv.Itoa(port+LinkPortOffset))})
	}
	for _, v := range n.Genesis.Validators {
		add(v.Name, "validator", v.Key)
	}
	for _, v := range n.Genesis.Observers {
		add(v.Name, "gateway", v.Key)
	}
	return out
}

// Write writes the network to l.Dir and returns its nodes. It refuses, with an error that wraps fs.ErrExist, to write over
// anything.
func (n *Network) Write(l Layout) ([]Node, error) {
	if l.Host == "" {
		l.Host = "127.0.0.1"
	}
	if last := l.BasePort + len(n.Validators) + len(n.Observers) + LinkPortOffset; l.BasePort < 1 || last > 65535 {
		return nil, fmt.Errorf("base port %d: choose 1 to %d", l.BasePort, 65535-LinkPortOffset-len(n.Validators)-len(n.Observers))
	}
	if err := CheckEmpty(l.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(l.Dir, 0o750); err != nil {
		return nil, err
	}
	raw, err := codec.Marshal(n.Genesis)
	if err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(l.Dir, config.GenesisName), raw, 0o644); err != nil {
		return nil, err
	}
	nodes := n.Nodes(&l)
	signers := append(slices.Clone(n.Validators), n.Observers...)
	for i := range nodes {
		if err := n.writeNode(&l, raw, nodes, i, signers[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", nodes[i].Name, err)
		}
	}
	return nodes, n.writeClient(&l, nodes)
}

// writeNode makes the home of one node.
func (n *Network) writeNode(l *Layout, raw []byte, nodes []Node, i int, key suite.Signer) error {
	node := nodes[i]
	if err := os.MkdirAll(filepath.Join(node.Home, config.DataName), 0o700); err != nil {
		return err
	}
	if err := writeNew(filepath.Join(node.Home, config.GenesisName), raw, 0o644); err != nil {
		return err
	}
	c := config.Default()
	c.Name, c.Role = node.Name, node.Role
	c.HTTP.Listen, c.Link.Listen = node.HTTP, node.Link
	c.Audit = node.Role == "gateway" && i == len(n.Validators) // the first full node that does not vote
	for j, peer := range nodes {
		if j != i && peer.Role == "validator" {
			c.Peers = append(c.Peers, config.Peer{Name: peer.Name, Key: peer.Key, Address: peer.Link})
		}
	}
	text, err := c.Encode()
	if err != nil {
		return err
	}
	if err := writeNew(filepath.Join(node.Home, config.FileName), text, 0o600); err != nil {
		return err
	}
	return n.writeKey(l, keyfile.Dir(filepath.Join(node.Home, config.KeysName)), config.NodeKeyName, node.Name, key)
}

// writeClient makes the profile and keys of whoever administers the network.
func (n *Network) writeClient(l *Layout, nodes []Node) error {
	dir := filepath.Join(l.Dir, ClientDir)
	keys := keyfile.Dir(filepath.Join(dir, config.KeysName))
	names := make([]string, 0, len(n.Keys))
	for name := range n.Keys {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := n.writeKey(l, keys, name, name+" of "+n.Genesis.Name, n.Keys[name]); err != nil {
			return err
		}
	}
	p := config.Profile{Genesis: filepath.Join("..", config.GenesisName),
		Parties: map[string]string{"authority": string(n.Genesis.Authority.ID)}}
	gateways := slices.ContainsFunc(nodes, func(node Node) bool { return node.Role == "gateway" })
	for _, node := range nodes {
		if !gateways || node.Role == "gateway" {
			p.Nodes = append(p.Nodes, "http://"+node.HTTP)
		}
	}
	if gateways { // validators serve too, when no gateway answers
		for _, node := range nodes {
			if node.Role == "validator" {
				p.Nodes = append(p.Nodes, "http://"+node.HTTP)
			}
		}
	}
	text, err := p.Encode()
	if err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, config.ProfileName), text, 0o600)
}

func (n *Network) writeKey(l *Layout, dir keyfile.Dir, name, label string, key suite.Signer) error {
	f, err := keyfile.Seal(n.Suite, key, keyfile.Config{Label: label, Passphrase: l.Passphrase, Iterations: l.Iterations})
	if err != nil {
		return err
	}
	_, err = dir.Create(name, f)
	return err
}

// CheckEmpty refuses, with an error that wraps fs.ErrExist, a directory in which anything stands.
func CheckEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s: %w and is not empty; choose another directory: nothing is ever overwritten", dir, fs.ErrExist)
	}
	return err
}

// writeNew writes a file that must not exist.
func writeNew(path string, b []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
