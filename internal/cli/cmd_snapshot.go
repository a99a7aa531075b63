package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"aval/internal/config"
	"aval/internal/node"
	"aval/internal/snapshot"
	"aval/ledger"
	"aval/suite"
)

func newSnapshotCmd(s *session) *cobra.Command {
	return group("snapshot", "Snapshots: the state of a height, from which another node can begin",
		"  aval snapshot create --home trial/gateway-0\n  aval snapshot verify FILE --genesis trial/genesis.cbor",
		snapshotCreate(s), snapshotList(s), snapshotInspect(s), snapshotVerify(s))
}

// nodeData loads the node at --home as far as work on its data needs it, without its key.
func (s *session) nodeData() (*config.Node, node.Config, error) {
	c, err := s.nodeConfig(nil)
	if err != nil {
		return nil, node.Config{}, err
	}
	nc, err := node.LoadData(c)
	if err != nil {
		return nil, nc, fmt.Errorf("%s: %w", s.home, err)
	}
	nc.Version = programVersion()
	nc.Logger, err = config.Log{Level: "warn", Format: c.Log.Format}.Logger(s.sys.Stderr)
	return c, nc, err
}

func snapshotCreate(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "create", Short: "Make a snapshot of the node at --home, which may run",
		Long: "Create writes the state of the newest certified height, and what another node needs to go on from there, to a file in the node's\n" +
			"data directory. A running node makes it itself, beside its work. The node offers its newest snapshot to its peers and keeps as\n" +
			"many as snapshot.keep says.",
		Example: "  aval snapshot create --home trial/gateway-0", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, nc, err := s.nodeData()
			if err != nil {
				return err
			}
			out, err := node.AskSnapshot(cmd.Context(), nc)
			if err != nil {
				return err
			}
			return s.print(out, func(o *output) {
				o.line("Snapshot of height %d made.", out.Height)
				o.fields("File", out.Path, "State root", out.Root, "Entries", out.Leaves, "Size", fmt.Sprintf("%d bytes in %d chunks", out.Bytes, out.Chunks))
			})
		},
	}
}

func snapshotList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the snapshots of the node at --home", Example: "  aval snapshot list --home trial/gateway-0", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, nc, err := s.nodeData()
			if err != nil {
				return err
			}
			all, err := node.Snapshots(nc.DataDir)
			if err != nil {
				return err
			}
			return s.print(all, func(o *output) {
				var rows [][]string
				for _, one := range all {
					rows = append(rows, []string{fmt.Sprint(one.Height), fmt.Sprint(one.Leaves), fmt.Sprint(one.Bytes), one.Path})
				}
				o.table([]string{">height", ">entries", ">bytes", "file"}, rows)
			})
		},
	}
}

// snapshotView is what is shown of a snapshot's file.
type snapshotView struct {
	Height   ledger.Height  `json:"height"`
	Network  suite.Hash     `json:"network"`
	Suite    string         `json:"suite"`
	Root     suite.Hash     `json:"root"`
	Header   ledger.Height  `json:"certified_by"`
	Wall     ledger.Time    `json:"wall"`
	Leaves   uint64         `json:"leaves,string"`
	Bytes    uint64         `json:"bytes,string"`
	Chunks   map[string]int `json:"chunks"`
	Verified bool           `json:"verified"`
}

// openSnapshot opens a file and says what its manifest claims.
func openSnapshot(path string) (*snapshot.File, *snapshotView, error) {
	f, err := snapshot.OpenFile(path)
	if err != nil {
		return nil, nil, err
	}
	m := f.Manifest()
	v := &snapshotView{Height: m.Height, Network: m.Network, Suite: f.Suite().Name(), Root: m.Header.StateRoot, Header: m.Header.Height,
		Wall: m.Header.Wall, Leaves: m.Leaves, Bytes: m.Bytes(), Chunks: map[string]int{}}
	for i := range m.Chunks {
		v.Chunks[m.Chunks[i].Kind.String()]++
	}
	return f, v, nil
}

func (o *output) snapshot(v *snapshotView) {
	chunks := ""
	for k := snapshot.KindBlocks; k <= snapshot.KindState; k++ {
		chunks += fmt.Sprintf(", %d of %s", v.Chunks[k.String()], k)
	}
	o.fields("Height", v.Height, "Network", v.Network, "Suite", v.Suite, "State root", v.Root,
		"Certified by", fmt.Sprintf("the header of height %d, %s", v.Header, when(v.Wall)), "Entries", v.Leaves, "Size", fmt.Sprintf("%d bytes", v.Bytes),
		"Chunks", chunks[2:])
}

func snapshotInspect(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "inspect FILE", Short: "Show what a snapshot says of itself, without verifying it", Example: "  aval snapshot inspect FILE", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			f, v, err := openSnapshot(args[0])
			if err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
			return s.print(v, func(o *output) { o.snapshot(v) })
		},
	}
}

func snapshotVerify(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE", Short: "Verify a snapshot against nothing but the genesis",
		Long: "Verify checks every chunk of a snapshot: blocks by their certificates, receipts and state by the roots that the certified header\n" +
			"commits to. The genesis is that of --genesis, else of the node or profile at --home.",
		Example: "  aval snapshot verify FILE --genesis trial/genesis.cbor", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.nodeGenesis(); err != nil {
				return err
			}
			f, v, err := openSnapshot(args[0])
			if err != nil {
				return err
			}
			err = snapshot.Verify(cmd.Context(), s.suite, s.genesis, f)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			v.Verified = true
			return s.print(v, func(o *output) {
				o.line("VALID snapshot of height %d.", v.Height)
				o.snapshot(v)
			})
		},
	}
}

// nodeGenesis reads the genesis that --genesis, the node at --home or the profile there names.
func (s *session) nodeGenesis() error {
	if s.genesisPath == "" && s.home != "" {
		if _, err := os.Stat(filepath.Join(s.home, config.FileName)); err == nil {
			c, err := s.nodeConfig(nil)
			if err != nil {
				return err
			}
			s.genesisPath = c.Path(c.Genesis)
		}
	}
	return s.loadGenesis()
}
