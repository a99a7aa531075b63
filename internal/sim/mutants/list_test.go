package mutants

import "strings"

// mutant is a bug: in a file, one text in place of another that occurs there once. nets are tried in turn until one catches it.
type mutant struct {
	name, what string
	file       string
	from, to   string
	nets       []net
}

// net is what must fail on a mutant and pass without it: a test, or a command if run is empty.
type net struct {
	pkg, run string
	args     []string
}

func (n *net) String() string { return strings.Join(append([]string{n.pkg, n.run}, n.args...), " ") }

// The nets: whole nodes over the reference engine in one thread; whole nodes over the real engine; the same with liars among them.
var (
	oneThread  = net{pkg: "./cmd/aval", args: []string{"sim", "--seed", "1", "--count", "60"}}
	realEngine = net{pkg: "./internal/sim/nodes", run: "^TestSeeds$"}
	withLiars  = net{pkg: "./internal/sim/nodes", run: "^TestByzantineSeeds$"}
)

var mutants = []mutant{
	{
		name: "quorum", what: "a quorum is one validator short",
		file: "ledger/block.go", from: "return (n + f + 2) / 2", to: "return (n+f+2)/2 - 1",
		nets: []net{oneThread, withLiars},
	},
	{
		name: "forged-votes", what: "the signatures in a certificate are not looked at",
		file: "ledger/block.go", from: "if !s.Verify(set[last].Key, DomainVote, msg, v.Sig) {",
		to:   "if false && !s.Verify(set[last].Key, DomainVote, msg, v.Sig) {",
		nets: []net{oneThread, withLiars},
	},
	{
		name: "wrong-set", what: "a certificate is checked against whichever keys come first, so that one validator can vote for all",
		file: "ledger/block.go", from: "if int(v.Validator) <= last || int(v.Validator) >= len(set) {",
		to:   "if int(v.Validator) >= len(set) {",
		nets: []net{oneThread, withLiars},
	},
	{
		name: "uncertified", what: "a block is taken from a peer without a certificate",
		file: "internal/chain/execute.go", from: "if err := ledger.VerifyCertificate(c.suite, set, &b.Header, &b.Certificate); err != nil {",
		to:   "if err := ledger.VerifyCertificate(c.suite, set, &b.Header, &b.Certificate); err != nil && len(set) == 0 {",
		nets: []net{oneThread, withLiars},
	},
	{
		name: "vote-without-block", what: "a vote does not name the block's payload",
		file: "ledger/block.go", from: "return codec.MustMarshal(&VoteMessage{Network: h.Network, Epoch: h.Epoch, Header: h.Hash(s)})",
		to: "c := *h\n\tc.PayloadHash, c.PayloadRoot, c.Wall, c.Time, c.Proposal = suite.Hash{}, suite.Hash{}, 0, 0, suite.Hash{}\n\t" +
			"return codec.MustMarshal(&VoteMessage{Network: h.Network, Epoch: h.Epoch, Header: c.Hash(s)})",
		nets: []net{oneThread, withLiars},
	},
	{
		name: "vote-without-height", what: "a vote does not name the height, nor what lies before it",
		file: "ledger/block.go", from: "return codec.MustMarshal(&VoteMessage{Network: h.Network, Epoch: h.Epoch, Header: h.Hash(s)})",
		to: "c := *h\n\tc.Height, c.Previous = 0, suite.Hash{}\n\t" +
			"return codec.MustMarshal(&VoteMessage{Network: h.Network, Epoch: h.Epoch, Header: c.Hash(s)})",
		nets: []net{oneThread, withLiars},
	},
	{
		name: "vote-not-recorded", what: "a vote is sent before it is written down",
		file: "internal/consensus/bft/guard.go", from: "return g.apply(func(s *guardState) { s.add(epoch, height, guardVote{View: view, Header: header}) })",
		to:   "_ = header\n\treturn nil",
		nets: []net{realEngine, withLiars},
	},
	{
		name: "replay", what: "a transaction in two batches takes effect twice",
		file: "internal/exec/apply.go", from: "case b.spent[t.ID] || b.window.Spent(t.ID):", to: "case b.spent[t.ID]:",
		nets: []net{oneThread, realEngine},
	},
	{
		name: "block-not-durable", what: "a committed block is acknowledged before it is durable",
		file: "internal/chain/execute.go", from: "if err := c.cfg.Blocks.Apply(batch, true); err != nil {\n\t\treturn fmt.Errorf(\"chain: store block",
		to:   "if err := c.cfg.Blocks.Apply(batch, false); err != nil {\n\t\treturn fmt.Errorf(\"chain: store block",
		nets: []net{oneThread, realEngine},
	},
	{
		name: "batch-not-durable", what: "a batch is acknowledged as stored before it is durable",
		file: "internal/chain/held.go", from: "err := c.cfg.Blocks.Apply(batch, true)\n\tc.mu.Lock()", to: "err := c.cfg.Blocks.Apply(batch, false)\n\tc.mu.Lock()",
		nets: []net{oneThread, realEngine},
	},
	{
		name: "other-batch", what: "a batch that comes with a block is not compared with the one that was ordered",
		file: "internal/chain/held.go", from: "if b.digest != p.Entries[i].Digest {", to: "if len(p.Entries) == 0 {",
		nets: []net{oneThread, withLiars},
	},
	{
		name: "not-verified", what: "validators attest that they verified what they did not",
		file: "internal/intake/attest.go", from: "if p.Verify {", to: "if p.Verify && len(p.Body) == 0 {",
		nets: []net{oneThread, withLiars},
	},
	{
		name: "forged-acknowledgements", what: "the signatures in a batch certificate are not looked at",
		file: "ledger/batch.go", from: "if err := c.Acks[i].Verify(s, network, set, c.Head.Epoch, digest); err != nil {",
		to:   "if err := c.Acks[i].Verify(s, network, set, c.Head.Epoch, digest); err != nil && len(set) == 0 {",
		nets: []net{oneThread, withLiars},
	},
	{
		name: "money", what: "a payee is credited and the payer not debited",
		file: "internal/native/money/pay.go", from: "store(j, &from)\n\tstore(j, &to)", to: "store(j, &to)",
		nets: []net{oneThread, realEngine},
	},
	{
		name: "node-clock", what: "blocks are executed at the time of each node's own clock",
		file: "internal/chain/execute.go", from: "result, err := c.executor.Apply(stateView{c.state}, &exec.Input{Header: h, Txs: txs}, spentView{c})",
		to: "own := *h\n\town.Time += c.Now() - own.Wall\n\t" +
			"result, err := c.executor.Apply(stateView{c.state}, &exec.Input{Header: &own, Txs: txs}, spentView{c})",
		nets: []net{oneThread, realEngine},
	},
}
