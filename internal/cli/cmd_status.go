package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"aval/api"
	"aval/client"
)

// nodeStatus is what one node said, or why it did not.
type nodeStatus struct {
	URL    string      `json:"url"`
	Error  string      `json:"error"`
	Status *api.Status `json:"status"`
}

func newStatusCmd(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Ask every known node how it and the network are, and why nothing moves",
		Long: "Status asks every node of --node, $AVAL_NODES or your profile at once. Of each it shows the newest block that is committed (certified),\n" +
			"executed and proven, how many of its peers it has a link to, and below the table what is wrong, by a name for programs, in words,\n" +
			"and with what to do next. It fails if no node answers, and ends with 5 if every node that answers says that the quorum is lost;\n" +
			"what else is wrong is in the causes that --json gives. `aval doctor` looks closer at one node, whether it runs or not.",
		Example: "  aval status\n  aval status --node http://127.0.0.1:8080 --json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			urls, err := s.endpoints()
			if err != nil {
				return err
			}
			c, err := s.connect()
			if err != nil {
				return err
			}
			ctx, cancel := s.within(cmd.Context())
			defer cancel()
			all := askAll(ctx, c, urls)
			answered := 0
			for i := range all {
				if all[i].Status != nil {
					answered++
				}
			}
			if err := s.print(all, func(o *output) { s.showStatus(o, all) }); err != nil {
				return err
			}
			if answered == 0 {
				return fmt.Errorf("%w", client.ErrUnreachable)
			}
			if quorumLost(all) {
				return &exitError{code: exitQuorum, err: errors.New("the quorum is lost"), silent: true}
			}
			return nil
		},
	}
}

// askAll asks every node at once.
func askAll(ctx context.Context, c *client.Client, urls []string) []nodeStatus {
	all := make([]nodeStatus, len(urls))
	done := make(chan struct{})
	for i := range urls {
		go func() {
			defer func() { done <- struct{}{} }()
			all[i].URL = urls[i]
			st, err := c.Status(ctx, i)
			if err != nil {
				all[i].Error = err.Error()
				return
			}
			all[i].Status = st
		}()
	}
	for range urls {
		<-done
	}
	return all
}

func (s *session) showStatus(o *output, all []nodeStatus) {
	var rows [][]string
	named := false
	for i := range all {
		st := all[i].Status
		if st == nil {
			rows = append(rows, []string{all[i].URL, "", "", "", "", "", "", "no answer"})
			continue
		}
		if !named {
			o.banner(st)
			named = true
		}
		connected := 0
		for _, p := range st.Peers {
			if p.Connected {
				connected++
			}
		}
		state := "ok"
		if len(st.Causes) > 0 {
			state = "see below"
		}
		rows = append(rows, []string{all[i].URL, st.Node.Name, st.Node.Role, fmt.Sprint(st.Heights.Committed), fmt.Sprint(st.Heights.Executed),
			fmt.Sprint(st.Heights.Proven), fmt.Sprintf("%d/%d", connected, len(st.Peers)), state})
	}
	o.table([]string{"node", "name", "role", ">committed", ">executed", ">proven", ">peers", "state"}, rows)
	var silent []string
	for i := range all {
		if st := all[i].Status; st != nil {
			s.showTrouble(o, st)
		} else {
			silent = append(silent, strings.TrimPrefix(all[i].Error, client.ErrUnreachable.Error()+": "))
		}
	}
	if len(silent) > 0 {
		o.line("\nNo answer:\n  %s", strings.Join(silent, "\n  "))
	}
}

// banner prints the network once.
func (o *output) banner(st *api.Status) {
	if st.Network.Banner != "" {
		o.line("%s", st.Network.Banner)
	}
	o.line("Network %s, suite %s, ledger time %s", st.Network.Name, st.Network.Suite, when(st.Network.Wall+st.Network.Offset))
	o.line("")
}

// showTrouble prints what is wrong at a node, and what to do about it.
func (s *session) showTrouble(o *output, st *api.Status) {
	if len(st.Causes) == 0 {
		return
	}
	o.line("")
	o.line("%s:", st.Node.Name)
	for _, c := range st.Causes {
		o.line("  %s: %s", c.Code, c.Text)
		o.line("    → %s", c.Next)
	}
}

// quorumLost reports whether every node that answers says that the quorum is lost.
func quorumLost(all []nodeStatus) bool {
	answered, lost := 0, 0
	for i := range all {
		if all[i].Status == nil {
			continue
		}
		answered++
		for _, c := range all[i].Status.Causes {
			if c.Code == api.CauseQuorumLost {
				lost++
			}
		}
	}
	return answered > 0 && lost == answered
}
