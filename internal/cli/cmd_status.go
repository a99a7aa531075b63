package cli

import (
	"context"
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
			"executed and proven, how many of its peers it has a link to, and below the table what is wrong. It fails if no node answers; whether\n" +
			"one that answers is well is in its state, and in the cause that --json gives.",
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
		if st.Cause != "" {
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

// showTrouble prints why a node's network stands still, and which of its links are down or skewed.
func (s *session) showTrouble(o *output, st *api.Status) {
	const skewMax = 250 // ms; voters refuse headers at 500
	var lines []string
	if st.Cause != "" {
		lines = append(lines, st.Cause)
	}
	if st.Engine.Observing {
		lines = append(lines, "it observes and does not vote until certified blocks have passed what it could have voted on")
	}
	for _, p := range st.Peers {
		switch {
		case !p.Connected && p.Role == "validator" && !strings.Contains(st.Cause, p.Name):
			lines = append(lines, strings.TrimSuffix(fmt.Sprintf("no link to %s at %s: %s", p.Name, p.Address, p.Error), ": "))
		case p.Skew > skewMax || p.Skew < -skewMax:
			lines = append(lines, fmt.Sprintf("the clock of %s differs by %d ms", p.Name, int64(p.Skew)))
		}
	}
	if len(lines) == 0 {
		return
	}
	o.line("")
	o.line("%s:", st.Node.Name)
	for _, l := range lines {
		o.line("  %s", l)
	}
}
