package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"aval/ledger"
)

func newClockCmd(s *session) *cobra.Command {
	op := &ledger.ClockAdvance{}
	advance := operation{
		use: "advance", short: "Move a lab network's clock forward; it stops at each due date until that day's work is done",
		example: "  aval clock advance 2027-01-13T09:00 --sign clock\n  aval clock advance 30d --sign clock",
		body: func(b *binder) ledger.Body {
			b.arg("TO", func(ctx context.Context, text string) (err error) {
				if d, derr := ledger.ParseDate(text); derr == nil {
					op.To = d.Start()
					return nil
				}
				op.To, err = s.parseMoment(ctx, text)
				return err
			})
			return op
		},
	}
	cmd := advance.command(s)
	submit := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := submit(cmd, args); err != nil {
			return err
		}
		for _, flag := range []string{"draft", "add-to"} {
			if cmd.Flags().Changed(flag) {
				return nil
			}
		}
		if cmd.Flags().Lookup("wait").Value.String() == "none" {
			return nil
		}
		return s.awaitClock(cmd.Context(), op.To)
	}
	return group("clock", "The clock of a lab network", advance.example, cmd)
}

// clockPoll is how often the clock is looked at.
const clockPoll = 50 * time.Millisecond

// awaitClock returns once the clock has come to where it was sent, the work of all days on the way done.
func (s *session) awaitClock(ctx context.Context, to ledger.Time) error {
	ctx, cancel := s.within(ctx)
	defer cancel()
	tick := time.NewTicker(clockPoll)
	defer tick.Stop()
	for {
		info, err := s.client.NetworkInfo(ctx)
		if err != nil {
			return fmt.Errorf("the clock is on its way to %s: %w", when(to), err)
		}
		if info.Time >= to {
			if !s.json {
				_, err = fmt.Fprintf(s.sys.Stdout, "The clock stands at %s.\n", when(info.Time))
			}
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the clock is on its way to %s and stands at %s: %w", when(to), when(info.Time), ctx.Err())
		case <-tick.C:
		}
	}
}
