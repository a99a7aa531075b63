package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"aval/internal/keyfile"
	"aval/suite"
)

func newKeyCmd(s *session) *cobra.Command {
	return group("key", "Your private keys, encrypted at rest", "  aval key new hc-li --label 'Li, maker'\n  aval key list",
		keyNew(s), keyList(s), keyShow(s), keyPasswd(s))
}

// keyView is what is said of a key without its passphrase.
type keyView struct {
	Name       string `json:"name"`
	Path       string `json:"path"`
	Suite      string `json:"suite"`
	Public     string `json:"public"`
	Label      string `json:"label"`
	Iterations uint32 `json:"iterations"`
}

func newKeyView(name, path string, f *keyfile.File) keyView {
	v := keyView{Name: name, Path: path, Public: f.Public.String(), Label: f.Label, Iterations: f.Iterations}
	if st, err := suite.ByID(f.Suite); err == nil {
		v.Suite = st.Name()
	}
	return v
}

func (v *keyView) show(o *output) {
	o.fields("Key", v.Name, "Label", v.Label, "Suite", v.Suite, "Public key", v.Public, "File", v.Path, "Iterations", v.Iterations)
}

func keyNew(s *session) *cobra.Command {
	var label, suiteName string
	var iterations uint32
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Make a key; the private part is written encrypted and never shown",
		Example: "  aval key new hc-li --label 'Li, maker'\n  aval key new node --suite sm", Args: needArgs("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			st, err := s.chooseSuite(suiteName)
			if err != nil {
				return err
			}
			dir, err := s.keys()
			if err != nil {
				return err
			}
			path, err := dir.Path(args[0])
			if err != nil {
				return &exitError{code: exitUsage, err: err}
			}
			if _, err := os.Stat(path); err == nil {
				return fmt.Errorf("%s exists; choose another name: a key is never overwritten", path)
			}
			secret, err := s.passphrases().GetNew("new key " + args[0])
			if err != nil {
				return err
			}
			signer, err := st.GenerateKey(nil)
			if err != nil {
				return err
			}
			f, err := keyfile.Seal(st, signer, keyfile.Config{Label: label, Passphrase: secret, Iterations: iterations})
			if err != nil {
				return err
			}
			if _, err := dir.Create(args[0], f); err != nil {
				return err
			}
			v := newKeyView(args[0], path, f)
			return s.print(v, v.show)
		},
	}
	cmd.Flags().StringVar(&label, "label", "", "free text, such as whose key it is")
	cmd.Flags().StringVar(&suiteName, "suite", "", "sm or intl (default: that of your network)")
	cmd.Flags().Uint32Var(&iterations, "iterations", 0, "cost of opening it (default: about half a second)")
	return cmd
}

// chooseSuite returns the named suite, or that of the network.
func (s *session) chooseSuite(name string) (suite.Suite, error) {
	if name != "" {
		st, err := suite.ByName(name)
		if err != nil {
			return nil, usage("suite %q is neither sm nor intl", name)
		}
		return st, nil
	}
	if err := s.loadGenesis(); err != nil {
		return nil, usage("which suite? give --suite sm or intl, or name your network's genesis with --genesis")
	}
	return s.suite, nil
}

func keyList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List your keys", Example: "  aval key list", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := s.keys()
			if err != nil {
				return err
			}
			entries, err := dir.List()
			if err != nil {
				return err
			}
			views := []keyView{}
			var rows [][]string
			for _, e := range entries {
				v := newKeyView(e.Name, e.Path, e.File)
				views = append(views, v)
				rows = append(rows, []string{v.Name, v.Suite, v.Public, v.Label})
			}
			return s.print(views, func(o *output) { o.table([]string{"name", "suite", "public key", "label"}, rows) })
		},
	}
}

func keyShow(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a key's public part", Example: "  aval key show hc-li", Args: needArgs("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := s.keyFile(args[0])
			if err != nil {
				return err
			}
			path, err := s.keyPath(args[0])
			if err != nil {
				return err
			}
			v := newKeyView(args[0], path, f)
			return s.print(v, v.show)
		},
	}
	cmd.ValidArgsFunction = s.completeKeys
	return cmd
}

// keyPath returns where a key given by name or path stands.
func (s *session) keyPath(name string) (string, error) {
	if strings.HasSuffix(name, keyfile.Ext) || strings.ContainsRune(name, filepath.Separator) {
		return name, nil
	}
	dir, err := s.keys()
	if err != nil {
		return "", err
	}
	return dir.Path(name)
}

func keyPasswd(s *session) *cobra.Command {
	var newFile string
	var iterations uint32
	cmd := &cobra.Command{
		Use: "passwd NAME", Short: "Change a key's passphrase or cost",
		Long: "Passwd opens a key with its passphrase and seals it under a new one: from --new-passphrase-file, else $AVAL_NEW_PASSPHRASE,\n" +
			"else asked at the terminal.",
		Example: "  aval key passwd hc-li", Args: needArgs("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			f, err := s.keyFile(args[0])
			if err != nil {
				return err
			}
			signer, err := s.signer(args[0])
			if err != nil {
				return err
			}
			st, err := suite.ByID(f.Suite)
			if err != nil {
				return err
			}
			source := s.passphrases()
			source.File = newFile
			source.Env = func(string) (string, bool) { return s.sys.Env("AVAL_NEW_PASSPHRASE") }
			secret, err := source.GetNew("key " + args[0] + " from now on")
			if err != nil {
				return fmt.Errorf("new passphrase: %w", err)
			}
			sealed, err := keyfile.Seal(st, signer, keyfile.Config{Label: f.Label, Passphrase: secret, Iterations: iterations})
			if err != nil {
				return err
			}
			path, err := s.keyPath(args[0])
			if err := errors.Join(err, keyfile.Replace(path, sealed)); err != nil {
				return err
			}
			v := newKeyView(args[0], path, sealed)
			return s.print(v, func(o *output) { o.line("The passphrase of key %s is changed. Keep no copy of the old file.", args[0]) })
		},
	}
	cmd.Flags().StringVar(&newFile, "new-passphrase-file", "", "file with the new passphrase")
	cmd.Flags().Uint32Var(&iterations, "iterations", 0, "cost of opening it (default: about half a second)")
	cmd.ValidArgsFunction = s.completeKeys
	return cmd
}
