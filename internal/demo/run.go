package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"aval/api"
	"aval/client"
	"aval/internal/config"
	"aval/internal/fleet"
	"aval/internal/genesis"
	"aval/internal/keyfile"
	"aval/ledger"
	"aval/suite"
)

// Config says how to play.
type Config struct {
	// Dir is where the network lives; it must not hold one yet. Empty: a temporary directory, removed in the end unless
	// something went wrong.
	Dir string
	// Suite of the network. Default: sm.
	Suite suite.Suite
	// Check verifies everything and returns instead of staying up, and kills a validator in the middle.
	Check bool
	// JSON prints the Result instead of the story.
	JSON bool
	// Program is how the reader calls this program, for the commands that are printed. Default: aval.
	Program string
	// Stdout receives the story or the result; Stderr messages, and the progress bar if Terminal.
	Stdout, Stderr io.Writer
	// Terminal says that Stdout and Stderr are a terminal.
	Terminal bool
}

const (
	proofIssue = "issued.proof"
	proofLots  = "voucher.proof"
	// passphraseName is a file with the passphrase of keys that are worth nothing.
	passphraseName = "passphrase"
)

// Run plays the demo case. With Check it returns an error that names everything that differs from what must be; without, it
// stays up until ctx ends.
func Run(ctx context.Context, cfg Config) (err error) {
	if err := cfg.setDefaults(); err != nil {
		return err
	}
	dir, cleanUp, err := workDir(cfg.Dir)
	if err != nil {
		return err
	}
	defer func() {
		if err == nil || ctx.Err() != nil {
			err = errors.Join(err, cleanUp())
			return
		}
		err = fmt.Errorf("%w\nthe nodes' logs are in %s", err, dir)
	}()
	began := time.Now()
	p, err := newPlay(ctx, &cfg, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.cluster.Stop()) }()
	if err := p.perform(ctx); err != nil {
		p.out.finish()
		if ctx.Err() != nil {
			return interrupted(&cfg)
		}
		return errors.Join(err, p.cluster.Dead())
	}
	p.result.ElapsedMs = time.Since(began).Milliseconds()
	return p.conclude(ctx, &cfg)
}

// interrupted is no failure for a reader who has seen enough, but nothing has been verified then.
func interrupted(cfg *Config) error {
	if cfg.Check {
		return errors.New("interrupted before everything was verified")
	}
	return nil
}

func (c *Config) setDefaults() error {
	if c.Suite == nil {
		s, err := suite.ByID(suite.SM)
		if err != nil {
			return err
		}
		c.Suite = s
	}
	if c.Program == "" {
		c.Program = "aval"
	}
	return nil
}

// workDir makes the directory of the demo and returns what removes it, if it is temporary.
func workDir(dir string) (string, func() error, error) {
	if dir != "" {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", nil, err
		}
		if len(entries) > 0 {
			return "", nil, fmt.Errorf("%s is not empty; name a new directory", dir)
		}
		return dir, func() error { return nil }, os.MkdirAll(dir, 0o700)
	}
	dir, err := os.MkdirTemp("", "aval-demo-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// newPlay makes the network, starts its nodes and waits until all of them answer.
func newPlay(ctx context.Context, cfg *Config, dir string) (*play, error) {
	r := &reporter{story: cfg.Stdout}
	if cfg.JSON {
		r.story = io.Discard
	}
	if cfg.Terminal {
		r.bar = cfg.Stderr
	}
	n, err := newNetwork(plan{name: "aval-demo", suite: cfg.Suite, clock: ledger.ClockLab, start: nine(dayOpen), validators: 4, gateways: 1,
		calendar: demoCalendar(), cast: demoCast})
	if err != nil {
		return nil, err
	}
	if err := n.parties[ruida].addSecond(cfg.Suite); err != nil {
		return nil, err
	}
	r.printf("Four validators and a gateway on 127.0.0.1, suite %s, network %s\n%s\n\n", cfg.Suite.Name(), short(n.id), api.LabBanner)
	c, err := fleet.Start(ctx, fleet.Config{Network: n.founded, Dir: dir})
	if err != nil {
		return nil, err
	}
	p, err := preparePlay(ctx, n, c, r, dir)
	if err != nil {
		return nil, errors.Join(err, c.Dead(), c.Stop())
	}
	p.check = cfg.Check
	return p, nil
}

func preparePlay(ctx context.Context, n *network, c *fleet.Fleet, r *reporter, dir string) (*play, error) {
	var urls []string
	for _, node := range c.Nodes {
		urls = append(urls, node.URL)
	}
	d, err := newDesk(n, urls)
	if err != nil {
		return nil, err
	}
	last := len(urls) - 1
	p := &play{desk: d, out: r, cluster: c, result: &Result{Network: n.id, Suite: n.suite.Name(), Dir: dir, Gateway: urls[last], Nodes: urls[:last],
		Checks: []Check{}}}
	if err := p.equip(filepath.Join(dir, genesis.ClientDir)); err != nil {
		return nil, err
	}
	for i, node := range d.nodes {
		err := poll(ctx, awaitTimeout, n.nodeName(i)+" to answer", func(ctx context.Context) (bool, error) {
			if err := c.Dead(); err != nil {
				return false, err
			}
			_, err := node.NetworkInfo(ctx)
			return err == nil, err
		})
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// equip adds the parties' names and keys to the home of the command line, so that readers can go on with the story.
func (p *play) equip(home string) error {
	if err := p.net.seal(keyfile.Dir(filepath.Join(home, config.KeysName)), p.cluster.Passphrase); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(home, passphraseName), append(p.cluster.Passphrase, '\n'), 0o600); err != nil {
		return err
	}
	profile, err := config.LoadProfile(home)
	if err != nil {
		return err
	}
	for alias, member := range p.net.parties {
		profile.Parties[alias] = string(member.id)
	}
	return profile.Save(home)
}

// scene is one step of the performance.
type scene struct {
	doing string
	play  func(ctx context.Context) error
}

// perform plays the case from the onboarding to the last payment.
func (p *play) perform(ctx context.Context) error {
	scenes := p.scenes()
	p.out.names = p.names()
	p.out.total = len(scenes)
	for _, s := range scenes {
		p.out.step(s.doing)
		if err := s.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.doing, err)
		}
	}
	p.result.Transactions = p.sent()
	return p.out.err
}

func (p *play) scenes() []scene {
	financing := func(i int) func(context.Context) error {
		return func(ctx context.Context) error { return p.finance(ctx, financings[i]) }
	}
	to := func(d ledger.Date) scene {
		return scene{"the clock moves to " + d.String(), func(ctx context.Context) error { return p.advance(ctx, nine(d)) }}
	}
	scenes := []scene{
		{"parties, accounts, mandate and limit", p.opening},
		{"invoices", p.registerSales},
		{"the voucher", p.issue},
		{"tier 1 splits", func(ctx context.Context) error { return p.passOn(ctx, splits[0], nil) }},
		{"tier 2 splits", func(ctx context.Context) error { return p.passOn(ctx, splits[1], p.plantedFreeze) }},
		{"tier 3 splits", func(ctx context.Context) error { return p.passOn(ctx, splits[2], nil) }},
		{"a pledge", p.pledgeLot},
		{"what must not work", p.plantedTrade},
		to(dayFinance1), {"an overdue voucher", p.plantedOverdue}, {"first financing", financing(0)},
	}
	chaos := p.check && p.cluster != nil
	if chaos {
		scenes = append(scenes, scene{"a validator is killed", p.kill})
	}
	scenes = append(scenes, to(dayFinance2), scene{"second financing", financing(1)})
	if chaos {
		scenes = append(scenes, scene{"the validator comes back", p.revive})
	}
	scenes = append(scenes, to(dayFinance3), scene{"third financing", financing(2)}, scene{"who holds what", p.snapshot})
	if p.check {
		scenes = append(scenes, scene{"the figures of " + dayFinance3.String(), p.checkMidway})
	}
	scenes = append(scenes, to(dayBefore), scene{"the issuer sets the money aside", p.fund}, to(dayDue), scene{"every holder is paid", p.clear},
		scene{"proofs", p.exportProofs})
	if p.check {
		scenes = append(scenes, scene{"every figure on every node", p.checkAll})
	}
	return scenes
}

// opening sets everything up and says so.
func (p *play) opening(ctx context.Context) error {
	if err := p.setUp(ctx); err != nil {
		return err
	}
	p.out.say(dayOpen, "%d parties are onboarded with their own keys; accounts with two banks, and an interbank mandate up to %s",
		len(demoCast), mandateCap)
	p.out.say(dayOpen, "Dongjiang Bank grants Huachen Auto a limit of %s", creditLimit)
	return nil
}

// conclude prints what came of it; without Check it then stays up until ctx ends.
func (p *play) conclude(ctx context.Context, cfg *Config) error {
	verdict := p.result.verdict()
	if cfg.JSON {
		p.out.finish()
		if err := writeJSON(cfg.Stdout, p.result); err != nil {
			return err
		}
	} else {
		p.out.result(p.result)
		p.out.printf("\n%d transactions in %d blocks, %d.%d s.\n", p.result.Transactions, p.result.Height, p.result.ElapsedMs/1000,
			p.result.ElapsedMs/100%10)
	}
	if verdict != nil || cfg.Check {
		return errors.Join(verdict, p.out.err)
	}
	p.out.lookFurther(p.result, cfg.Program, filepath.Join(p.result.Dir, genesis.ClientDir))
	p.out.printf("\nThe network stays up. Ctrl-C stops it%s.\n", map[bool]string{true: " and removes " + p.result.Dir, false: ""}[cfg.Dir == ""])
	if p.out.err != nil {
		return p.out.err
	}
	return p.stayUp(ctx)
}

// stayUp waits for the end of ctx, or for a node to die.
func (p *play) stayUp(ctx context.Context) error {
	gone := make(chan struct{}, len(p.cluster.Nodes))
	for _, c := range p.cluster.Nodes {
		go func() {
			<-c.Exited()
			gone <- struct{}{}
		}()
	}
	select {
	case <-ctx.Done():
		return nil
	case <-gone:
		return p.cluster.Dead()
	}
}

// exportProofs fetches two proofs and writes them to files that anybody can verify with the genesis alone.
func (p *play) exportProofs(ctx context.Context) error {
	issued, err := p.front.TransactionProof(ctx, p.result.Issued)
	if err != nil {
		return fmt.Errorf("proof of the issue: %w", err)
	}
	state, err := p.front.StateProof(ctx, ledger.VoucherKey(p.voucher))
	if err != nil {
		return fmt.Errorf("proof of the voucher: %w", err)
	}
	for _, f := range []struct {
		name  string
		proof *client.Proven
	}{{proofIssue, issued}, {proofLots, state}} {
		if err := os.WriteFile(filepath.Join(p.result.Dir, f.name), f.proof.File, 0o600); err != nil {
			return err
		}
	}
	return nil
}
