package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"aval/api"
	"aval/client"
	"aval/internal/config"
	"aval/internal/doctor"
	"aval/internal/keyfile"
)

func newDoctorCmd(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Examine a node, running or stopped, and say what to do about what is wrong",
		Long: "Doctor looks at one node, or at your own profile, and prints for each check ok, warn or fail, and what to do next.\n\n" +
			"With --node it asks running nodes. With --home it looks at a node's home: configuration and environment, genesis, key, permissions,\n" +
			"ports, links, disk, clock; if the node runs there, it adds what that says of itself; if not, it opens the stores as a start would\n" +
			"and reads the engine's log. A home with a profile instead has its nodes asked, and the dates of its keys looked up.\n\n" +
			"It ends with 0 if nothing failed, else with 1; warnings do not count.",
		Example: "  aval doctor --home trial/validator-0\n  aval doctor --node http://127.0.0.1:8080 --json\n  aval doctor --home trial/client",
		Args:    cobra.NoArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := s.within(cmd.Context())
		defer cancel()
		reports, err := s.examine(ctx)
		if err != nil {
			return err
		}
		if err := s.print(reports, func(o *output) { showReports(o, reports) }); err != nil {
			return err
		}
		for _, r := range reports {
			if r.Failed() {
				return &exitError{code: exitFailed, err: errors.New("a check failed"), silent: true}
			}
		}
		return nil
	}
	return cmd
}

// examine decides what to examine: nodes that were named, a node's home, or a profile.
func (s *session) examine(ctx context.Context) ([]*doctor.Report, error) {
	if len(s.nodes) > 0 {
		return s.examineNodes(ctx, s.nodes)
	}
	if err := s.homeless(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(s.home, config.FileName)); err == nil {
		return []*doctor.Report{s.examineHome(ctx)}, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(s.home, config.ProfileName)); err != nil {
		return nil, usage("%s holds neither a node (%s) nor a profile (%s); name another with --home, or a running node with --node URL",
			s.home, config.FileName, config.ProfileName)
	}
	r, err := s.examineProfile(ctx)
	return []*doctor.Report{r}, err
}

func (s *session) examineNodes(ctx context.Context, urls []string) ([]*doctor.Report, error) {
	c, err := client.New(client.Config{Endpoints: urls, Now: s.sys.Now, UserAgent: "aval/" + programVersion()})
	if err != nil {
		return nil, &exitError{code: exitUsage, err: err}
	}
	var reports []*doctor.Report
	for i, url := range urls {
		r := &doctor.Report{Subject: url}
		asked := s.sys.Now()
		if st, err := c.Status(ctx, i); err != nil {
			r.Silent(err)
		} else {
			r.Live(st, middle(asked, s.sys.Now()))
		}
		reports = append(reports, r)
	}
	return reports, nil
}

func middle(a, b time.Time) time.Time { return a.Add(b.Sub(a) / 2) }

func (s *session) examineHome(ctx context.Context) *doctor.Report {
	source := s.passphrases()
	source.Terminal = nil // an examination asks for nothing
	h := doctor.Home{Dir: s.home, Env: s.sys.Env, Environ: s.sys.Environ(), Now: s.sys.Now, Ask: s.askStatus}
	if source.File == "" {
		source.File = s.passphraseOf()
	}
	if p, err := source.Get("the key of the node"); err == nil {
		h.Passphrase = p
	}
	return h.Examine(ctx)
}

// passphraseOf returns the passphrase file that the node at home names, if its configuration can be read.
func (s *session) passphraseOf() string {
	c, err := config.Load(s.home, s.sys.Env, nil)
	if err != nil {
		return "" // the examination says why
	}
	return c.Path(c.PassphraseFile)
}

func (s *session) askStatus(ctx context.Context, url string) (*api.Status, error) {
	c, err := client.New(client.Config{Endpoints: []string{url}, Now: s.sys.Now, UserAgent: "aval/" + programVersion()})
	if err != nil {
		return nil, err
	}
	return c.Status(ctx, 0)
}

// examineProfile asks the nodes of a profile and looks up the dates of its keys.
func (s *session) examineProfile(ctx context.Context) (*doctor.Report, error) {
	r := &doctor.Report{Subject: s.home}
	urls, err := s.endpoints()
	if err != nil {
		return nil, err
	}
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(urls))
	var one *api.Status
	for i := range urls {
		st, err := c.Status(ctx, i)
		if errs[i] = err; err == nil && one == nil {
			one = st
			r.Live(st, s.sys.Now())
		}
	}
	r.Answering(urls, errs)
	dir, err := s.keys()
	if err != nil {
		return nil, err
	}
	return r, s.examineKeys(ctx, r, dir, c, one)
}

func (s *session) examineKeys(ctx context.Context, r *doctor.Report, dir keyfile.Dir, c *client.Client, one *api.Status) error {
	if one == nil {
		r.Keys(ctx, dir, nil, 0)
		return nil
	}
	r.Keys(ctx, dir, c.Member, max(one.Network.Time, s.wall()+one.Network.Offset))
	return nil
}

// showReports prints every check, and below what is not well what to do.
func showReports(o *output, reports []*doctor.Report) {
	for i, r := range reports {
		if i > 0 {
			o.line("")
		}
		o.line("%s", r.Subject)
		width := 0
		for _, c := range r.Checks {
			width = max(width, len(c.Name))
		}
		for _, c := range r.Checks {
			o.line("  %-4s  %-*s  %s", c.Result, width, c.Name, c.Text)
			if c.Next != "" {
				o.line("  %-4s  %-*s  → %s", "", width, "", c.Next)
			}
		}
	}
}
