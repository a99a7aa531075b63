package demo

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"

	"aval/api"
	"aval/client"
	"aval/internal/config"
	"aval/internal/genesis"
	"aval/ledger"
	"aval/suite"
)

// checkMidway verifies the figures of the day of the last financing on every node.
func (p *play) checkMidway(ctx context.Context) error {
	if _, err := p.settle(ctx); err != nil {
		return err
	}
	p.result.check("ten leaf lots", fmt.Sprintf("%d lots sum to %s on every node", len(leaves), face), p.everyNode(func(_ int, c *client.Client) error {
		return p.checkLeaves(ctx, c)
	}))
	p.result.check("interest and net of the three financings", "as the table says, as whole-number arithmetic says, and as every node recorded",
		p.everyNode(func(_ int, c *client.Client) error { return p.checkFinancings(ctx, c) }))
	p.result.check("accounts on "+dayFinance3.String(), "every balance on every node", p.everyNode(func(_ int, c *client.Client) error {
		return p.checkStatement(ctx, c, expectedStatement(false))
	}))
	p.result.check("the limit while the voucher lives", fmt.Sprintf("%s of %s used", face, creditLimit), p.everyNode(func(_ int, c *client.Client) error {
		return p.checkLimit(ctx, c, face)
	}))
	return nil
}

// checkLeaves compares the lots of the voucher with the ten of the case.
func (p *play) checkLeaves(ctx context.Context, c *client.Client) error {
	lots, err := lotsOf(ctx, c, p.voucher)
	if err != nil {
		return err
	}
	if len(lots) != len(leaves) {
		return fmt.Errorf("%d lots, not %d", len(lots), len(leaves))
	}
	at := ledger.Fen(0)
	for i, want := range leaves {
		l := &lots[i]
		pledgee := ledger.PartyID("")
		if l.Pledge != nil && l.Pledge.Number != "" {
			pledgee = l.Pledge.Pledgee
		}
		wantPledgee := ledger.PartyID("")
		if want.pledgee != "" {
			wantPledgee = p.p(want.pledgee).id
		}
		if l.From != at || l.Amount != want.amount || l.Holder != p.p(want.holder).id || pledgee != wantPledgee || l.Effective != "held" {
			return fmt.Errorf("lot %d is [%s, %s) of %s, %s, pledged to %q; expected %s of %s", i+1, l.From, l.To, p.names()[l.Holder], l.Effective,
				pledgee, want.amount, p.p(want.holder).name)
		}
		at = l.To
	}
	if at != face {
		return fmt.Errorf("the lots sum to %s, not %s", at, face)
	}
	return p.checkHolders(ctx, c, lots)
}

// checkHolders compares the chain of lots with the lists of what each party holds.
func (p *play) checkHolders(ctx context.Context, c *client.Client, lots []api.Lot) error {
	held := map[ledger.Fen]ledger.PartyID{}
	for _, id := range p.ids() {
		list, err := client.All(ctx, func(ctx context.Context, page uint64) (*api.List[api.Lot], error) { return c.PartyLots(ctx, id, page) })
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].Voucher != p.voucher || held[list[i].From] != "" {
				return fmt.Errorf("%s lists a lot at %s of voucher %s, which it does not hold", p.names()[id], list[i].From, short(list[i].Voucher))
			}
			held[list[i].From] = id
		}
	}
	for i := range lots {
		if held[lots[i].From] != lots[i].Holder {
			return fmt.Errorf("the lot at %s is not in the list of %s", lots[i].From, p.names()[lots[i].Holder])
		}
	}
	if len(held) != len(lots) {
		return fmt.Errorf("parties list %d lots, the voucher has %d", len(held), len(lots))
	}
	return nil
}

// checkFinancings compares what a node recorded with the case's table, and the table with arithmetic of its own.
func (p *play) checkFinancings(ctx context.Context, c *client.Client) error {
	for i, f := range financings {
		if interest := interestOf(f.to-f.from, f.rateBps, f.days); interest != f.interest || f.net != f.to-f.from-interest {
			return fmt.Errorf("%s for %d days at %s is %s, the table says %s", f.to-f.from, f.days, percent(f.rateBps), interest, f.interest)
		}
		r, err := c.Request(ctx, p.result.Financings[i].Request)
		if err != nil {
			return err
		}
		if r.Status != ledger.RequestDisbursed || r.Days != f.days || r.Interest != f.interest || r.Net != f.net || r.Number != f.number ||
			r.Chosen != p.p(f.funder).id {
			return fmt.Errorf("financing by %s: %s for %d days, interest %s, net %s, registered as %q; expected %d days, %s, %s", p.p(f.funder).name,
				r.State, r.Days, r.Interest, r.Net, r.Number, f.days, f.interest, f.net)
		}
	}
	return nil
}

// interestOf is principal × rate × days / 360, half up to the fen, in whole numbers of any size.
func interestOf(principal ledger.Fen, rateBps, days uint32) ledger.Fen {
	n := new(big.Int).SetUint64(uint64(principal))
	n.Mul(n, big.NewInt(int64(rateBps)))
	n.Mul(n, big.NewInt(int64(days)))
	n.Mul(n, big.NewInt(2))
	d := big.NewInt(2 * 360 * 10_000)
	n.Add(n, big.NewInt(360*10_000))
	return ledger.Fen(n.Div(n, d).Uint64())
}

// checkStatement compares all accounts and the interbank obligation at a node with what the case must come to.
func (p *play) checkStatement(ctx context.Context, c *client.Client, want statement) error {
	balances, err := p.accounts(ctx, c)
	if err != nil {
		return err
	}
	for _, b := range balances {
		if b.Balance != want.balances[b.alias] || b.Held != 0 {
			return fmt.Errorf("%s has %s and %s held with %s, expected %s", b.Holder, b.Balance, b.Held, b.Bank, want.balances[b.alias])
		}
	}
	m, err := c.Mandate(ctx, p.p(dongjiang).id, p.p(linhai).id)
	if err != nil {
		return err
	}
	if m.Owed != want.owed {
		return fmt.Errorf("dongjiang owes Linhai %s, expected %s", m.Owed, want.owed)
	}
	return nil
}

func (p *play) checkLimit(ctx context.Context, c *client.Client, used ledger.Fen) error {
	l, err := c.Limit(ctx, p.p(dongjiang).id, p.p(huachen).id, ledger.LimitIssue)
	if err != nil {
		return err
	}
	if l.Used != used || l.Amount != creditLimit {
		return fmt.Errorf("%s of %s is used, expected %s of %s", l.Used, l.Amount, used, creditLimit)
	}
	return nil
}

// checkAll verifies what is left when all is paid.
func (p *play) checkAll(ctx context.Context) error {
	height, err := p.settle(ctx)
	if err != nil {
		return err
	}
	p.result.Height = height
	p.result.check("accounts after clearing", fmt.Sprintf("every balance on every node; Dongjiang owes Linhai %s", expectedStatement(true).owed),
		p.everyNode(func(_ int, c *client.Client) error { return p.checkStatement(ctx, c, expectedStatement(true)) }))
	p.result.check("the limit is free again", "nothing used, nothing overdue, nobody barred", p.everyNode(func(_ int, c *client.Client) error {
		return p.checkFreed(ctx, c)
	}))
	vouchers := make([]int, len(p.nodes))
	p.result.check("every voucher's lots", "disjoint and without a gap over [0, face), paid lots as the voucher says",
		p.everyNode(func(i int, c *client.Client) (err error) {
			vouchers[i], err = checkVouchers(ctx, c, p.p(huachen).id)
			if err == nil && vouchers[i] != 3 {
				err = fmt.Errorf("%d vouchers, not 3", vouchers[i])
			}
			return err
		}))
	p.result.check("sums of money", "accounts of each bank hold what it minted and did not burn", p.everyNode(func(_ int, c *client.Client) error {
		return p.checkSums(ctx, c)
	}))
	p.result.check("one history", fmt.Sprintf("headers, roots and receipts of all %d blocks are the same on %d nodes, each certified by a quorum",
		height, len(p.nodes)), p.checkHistory(ctx, height))
	keys := p.provenKeys()
	p.result.check("state proofs", fmt.Sprintf("%d keys from every node verify against the genesis and agree", len(keys)), p.checkProofs(ctx, keys))
	if p.cluster == nil {
		return nil
	}
	p.result.check("`aval verify` of an exported proof", "valid with --lab, refused without, invalid after a byte was changed", p.checkVerify(ctx))
	return nil
}

func (p *play) checkFreed(ctx context.Context, c *client.Client) error {
	if err := p.checkLimit(ctx, c, 0); err != nil {
		return err
	}
	core, err := c.Party(ctx, p.p(huachen).id)
	if err == nil && (core.Barred || core.Overdue != 0) {
		err = fmt.Errorf("huachen Auto is barred: %t, overdue with %s", core.Barred, core.Overdue)
	}
	return err
}

func (p *play) checkSums(ctx context.Context, c *client.Client) error {
	for _, bank := range []string{dongjiang, linhai} {
		if _, err := checkMoney(ctx, c, p.p(bank).id, p.ids()); err != nil {
			return fmt.Errorf("%s: %w", p.p(bank).name, err)
		}
	}
	return nil
}

// checkHistory compares all blocks on all nodes and verifies their chain and certificates.
func (p *play) checkHistory(ctx context.Context, height ledger.Height) error {
	histories := make([][]*api.Block, len(p.nodes))
	err := p.everyNode(func(i int, c *client.Client) error {
		for h := ledger.Height(1); h <= height; h++ {
			b, err := c.Block(ctx, h)
			if err != nil {
				return fmt.Errorf("block %d: %w", h, err)
			}
			histories[i] = append(histories[i], b)
		}
		return nil
	})
	if err != nil {
		return err
	}
	previous := p.net.id
	for h := range histories[0] {
		for i := range histories {
			if err := p.checkBlock(histories[i][h], histories[0][h], previous); err != nil {
				return fmt.Errorf("%s, block %d: %w", p.net.nodeName(i), h+1, err)
			}
		}
		previous = histories[0][h].Hash
	}
	return nil
}

func (p *play) checkBlock(b, other *api.Block, previous suite.Hash) error {
	switch {
	case b.Hash != other.Hash || !reflect.DeepEqual(b.Header, other.Header):
		return fmt.Errorf("its header is not that of %s", p.net.nodeName(0))
	case !reflect.DeepEqual(b.Receipts, other.Receipts):
		return fmt.Errorf("its receipts are not those of %s", p.net.nodeName(0))
	case b.Header.Hash(p.net.suite) != b.Hash || b.Header.Previous != previous:
		return errors.New("it is not chained to the block before")
	}
	return ledger.VerifyCertificate(p.net.suite, p.net.genesis.Validators, &b.Header, &b.Certificate)
}

// provenKeys are state keys of every kind, one of which holds nothing.
func (p *play) provenKeys() [][]byte {
	keys := [][]byte{ledger.VoucherKey(p.voucher), ledger.LotKey(p.voucher, 0), ledger.LotKey(p.voucher, pledged.from),
		ledger.PartyKey(p.p(ruida).id), ledger.MemberKey(p.p(ruida).maker.signer.Public()), ledger.AccountKey(p.p(linhai).id, p.p(jingwei).id),
		ledger.SupplyKey(p.p(dongjiang).id), ledger.MandateKey(p.p(dongjiang).id, p.p(linhai).id),
		ledger.LimitKey(p.p(dongjiang).id, p.p(huachen).id, ledger.LimitIssue), ledger.InvoiceKey(p.fingerprint(sales[0])), ledger.ClockKey()}
	return append(keys, ledger.VoucherKey(p.net.id)) // no voucher has the network's id
}

// checkProofs verifies proofs of keys from all nodes and compares what they show.
func (p *play) checkProofs(ctx context.Context, keys [][]byte) error {
	shown := make([][]*client.Proven, len(p.nodes))
	err := p.everyNode(func(i int, c *client.Client) error {
		for _, key := range keys {
			proof, err := c.StateProof(ctx, key)
			if err != nil {
				return fmt.Errorf("key %x: %w", key, err)
			}
			shown[i] = append(shown[i], proof)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range shown {
		for k := range keys {
			a, b := shown[i][k].Verdict, shown[0][k].Verdict
			if a.Present != b.Present || string(a.Value) != string(b.Value) || a.Written != b.Written || a.Present != (k < len(keys)-1) {
				return fmt.Errorf("%s proves another value of key %x than %s", p.net.nodeName(i), keys[k], p.net.nodeName(0))
			}
		}
	}
	return nil
}

// checkVerify lets this program's own `verify` judge the exported proof.
func (p *play) checkVerify(ctx context.Context) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	good := filepath.Join(p.result.Dir, proofIssue)
	b, err := os.ReadFile(good)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	bad := filepath.Join(p.result.Dir, "altered.proof")
	if err := os.WriteFile(bad, b, 0o600); err != nil {
		return err
	}
	for _, c := range []struct {
		file string
		lab  bool
		want int
	}{{good, true, 0}, {good, false, 1}, {bad, true, 1}} {
		args := []string{"verify", c.file, "--genesis", filepath.Join(p.result.Dir, config.GenesisName), "--home", filepath.Join(p.result.Dir, genesis.ClientDir)}
		if c.lab {
			args = append(args, "--lab")
		}
		out, err := exec.CommandContext(ctx, program, args...).CombinedOutput() //nolint:gosec // it is this very program
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return err
		}
		if code := exitCode(exit); code != c.want {
			return fmt.Errorf("verify %s with --lab %t exits %d, not %d: %s", filepath.Base(c.file), c.lab, code, c.want, out)
		}
	}
	return nil
}

func exitCode(err *exec.ExitError) int {
	if err == nil {
		return 0
	}
	return err.ExitCode()
}
