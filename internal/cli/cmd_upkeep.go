package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"aval/internal/config"
	"aval/internal/keyfile"
	"aval/internal/node"
	"aval/internal/snapshot"
	"aval/ledger"
	"aval/suite"
)

// fromPeers is the word for any peer where a snapshot's source is named.
const fromPeers = "peers"

func nodeBackup(s *session) *cobra.Command {
	var to string
	var with, without bool
	cmd := &cobra.Command{
		Use: "backup", Short: "Back up the node at --home, which may run, to a new folder",
		Long: "Backup writes blocks and state as of one moment, the genesis and the configuration to a folder that it makes. Say whether the node's\n" +
			"private key, encrypted as it is, goes with them. The record of votes never does: a validator that is restored observes until\n" +
			"certified blocks have passed what it could have voted on. Where the file system allows it the blocks are linked, not copied,\n" +
			"so take the folder to another machine.",
		Example: "  aval node backup --home trial/validator-0 --to /backups/2026-09-15 --without-keys", Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&to, "to", "", "folder to make")
	cmd.Flags().BoolVar(&with, "with-keys", false, "include the node's private key, encrypted")
	cmd.Flags().BoolVar(&without, "without-keys", false, "leave the node's private key out")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if to == "" || with == without {
			return usage("say where to with --to, and --with-keys or --without-keys")
		}
		c, nc, err := s.nodeData()
		if err != nil {
			return err
		}
		files := []node.HomeFile{{From: c.Path(c.Genesis), Name: config.GenesisName}, {From: filepath.Join(s.home, config.FileName), Name: config.FileName}}
		if with {
			files = append(files, node.HomeFile{From: c.Path(c.Key), Name: filepath.ToSlash(keyName(c.Key))})
		}
		b, err := node.MakeBackup(cmd.Context(), nc, to, files, with)
		if err != nil {
			return err
		}
		return s.print(b, func(o *output) {
			o.line("%s backed up to %s.", b.Node, to)
			o.fields("State", fmt.Sprintf("height %d, root %s", b.Height, b.Root), "Blocks", fmt.Sprintf("up to %d", b.Committed), "Keys", keysText(b.Keys))
		})
	}
	return cmd
}

// keyName is where a key goes below a home.
func keyName(path string) string {
	if filepath.IsLocal(path) {
		return path
	}
	return filepath.Join(config.KeysName, config.NodeKeyName+".key")
}

func keysText(in bool) string {
	if in {
		return "included"
	}
	return "not included; keep them elsewhere"
}

func nodeRestore(s *session) *cobra.Command {
	var fromSnapshot, fromBackup string
	var replace bool
	cmd := &cobra.Command{
		Use: "restore", Short: "Fill the node at --home from a snapshot or a backup, verified first",
		Long: "Restore fills the data directory of a node that does not run. --from-snapshot names a file, a peer of config.toml, or \"peers\" for\n" +
			"whichever has the newest; what comes from peers is verified chunk by chunk, a peer that lies or fails is left for the next, and\n" +
			"what was fetched is used again if the command is repeated. --from-backup names the folder of a backup; files of the home that\n" +
			"are missing come from it too. The node goes on from there, with the same state root, and a validator observes before it votes.",
		Example: "  aval node restore --home trial/gateway-0 --from-snapshot peers\n  aval node restore --home trial/gateway-0 --from-snapshot snapshot.file\n" +
			"  aval node restore --home trial/validator-0 --from-backup /backups/2026-09-15 --replace",
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&fromSnapshot, "from-snapshot", "", "file of a snapshot, name of a peer, or peers")
	cmd.Flags().StringVar(&fromBackup, "from-backup", "", "folder of a backup")
	cmd.Flags().BoolVar(&replace, "replace", false, "give up the blocks and the state that are there")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if (fromSnapshot == "") == (fromBackup == "") {
			return usage("name either --from-snapshot or --from-backup")
		}
		restore := s.restoreSnapshot
		from := fromSnapshot
		if from == "" {
			restore, from = s.restoreBackup, fromBackup
		}
		out, err := restore(cmd.Context(), from, replace)
		if errors.Is(err, node.ErrHasData) {
			return fmt.Errorf("%w; --replace gives it up", err)
		}
		if err != nil {
			return err
		}
		return s.print(out, func(o *output) {
			o.line("Restored %s.", s.home)
			o.fields("State", fmt.Sprintf("height %d, root %s", out.Height, out.Root), "Blocks", fmt.Sprintf("up to %d", out.Committed))
		})
	}
	return cmd
}

// restoreSnapshot restores from a file, a peer, or any peer.
func (s *session) restoreSnapshot(ctx context.Context, from string, replace bool) (*node.Restored, error) {
	c, nc, err := s.nodeData()
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(from); err == nil && !info.IsDir() {
		f, err := snapshot.OpenFile(from)
		if err != nil {
			return nil, err
		}
		out, err := node.RestoreSnapshot(ctx, nc, f, replace)
		return out, errors.Join(err, f.Close())
	}
	peer := from
	if from == fromPeers {
		peer = ""
	}
	known := false
	for _, p := range c.Peers {
		known = known || peer == "" || p.Name == peer
	}
	if !known {
		return nil, usage("%q is neither a file nor a peer of %s", from, filepath.Join(s.home, config.FileName))
	}
	if nc.Self, err = s.nodeKey(c, nc.Suite); err != nil {
		return nil, err
	}
	src, err := node.FetchSnapshot(ctx, nc, peer)
	if err != nil {
		return nil, err
	}
	return node.RestoreSnapshot(ctx, nc, src, replace)
}

// nodeKey opens the key of a node.
func (s *session) nodeKey(c *config.Node, of suite.Suite) (suite.Signer, error) {
	source := s.passphrases()
	source.File = c.Path(c.PassphraseFile)
	passphrase, err := source.Get("the key of " + c.Name)
	if err != nil {
		return nil, err
	}
	file, err := keyfile.Read(c.Path(c.Key))
	if err != nil {
		return nil, fmt.Errorf("node key: %w", err)
	}
	if file.Suite != of.ID() {
		return nil, fmt.Errorf("node key %s is of another suite than the network's, %s", c.Path(c.Key), of.Name())
	}
	return file.Open(passphrase)
}

// restoreBackup restores data, and what is missing of the home.
func (s *session) restoreBackup(ctx context.Context, from string, replace bool) (*node.Restored, error) {
	if err := s.homeless(); err != nil {
		return nil, err
	}
	genesis, err := readFile(filepath.Join(from, node.BackupHome, config.GenesisName), ledger.GenesisBytesMax)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", node.ErrBackup, err)
	}
	_, su, err := ledger.DecodeGenesis(genesis)
	if err != nil {
		return nil, err
	}
	if _, err := node.RestoreHome(su, from, s.home); err != nil {
		return nil, err
	}
	_, nc, err := s.nodeData()
	if err != nil {
		return nil, err
	}
	return node.RestoreBackup(ctx, nc, from, replace)
}

func nodePrune(s *session) *cobra.Command {
	var keep uint64
	cmd := &cobra.Command{
		Use: "prune", Short: "Drop old blocks, batches and receipts of the node at --home, which may run",
		Long: "Prune drops blocks with their batches and receipts, but for the newest heights, what a restart needs and the blocks of the last\n" +
			"quarter of an hour. Every live record stays provable: the state is not touched, and the certified headers of the heights that\n" +
			"wrote it are kept. Receipts of old transactions can then be had from other nodes only. A validator keeps what the genesis asks\n" +
			"for (retain_heights), everything by default. With store.keep_heights a node does this by itself.",
		Example: "  aval node prune --home trial/gateway-0 --keep 100000", Args: cobra.NoArgs,
	}
	cmd.Flags().Uint64Var(&keep, "keep", 0, "how many of the newest heights to keep (default store.keep_heights)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		_, nc, err := s.nodeData()
		if err != nil {
			return err
		}
		if keep == 0 {
			keep = nc.KeepHeights
		}
		if keep == 0 {
			return usage("say how many heights to keep with --keep, or set store.keep_heights")
		}
		out, err := node.AskPrune(cmd.Context(), nc, keep)
		if err != nil {
			return err
		}
		return s.print(out, func(o *output) {
			o.line("%d blocks dropped, with %d batches and %d receipts; of %d the certified header stays.", out.Blocks, out.Batches, out.Receipts, out.Headers)
			o.line("Blocks are kept from height %d on.", out.First)
		})
	}
	return cmd
}
