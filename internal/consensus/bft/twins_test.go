package bft

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aval/codec"
	"aval/internal/consensus"
	"aval/internal/consensus/conformance"
	"aval/ledger"
	"aval/suite"
)

// Byzantine scenarios in the manner of Twins: one validator's identity runs twice, each copy honest by itself, with its own disk,
// while links are cut and requests are handed to some and not to others. What one copy says contradicts the other: it leads
// twice, votes twice, states two things. On top of that the identity's key signs lies (see forger). A seed says which validator,
// which partitions, which lies.
//
//	go test ./internal/consensus/bft -run TestTwins -seed 17 -v

var (
	twinsSeed  = flag.Int64("seed", -1, "run this scenario of TestTwins only")
	twinsFrom  = flag.Uint64("from", 0, "the first scenario of TestTwins, with -seeds")
	twinsSeeds = flag.Int("seeds", 0, "how many scenarios of TestTwins; 0: as many as belong to every test run")
)

// twinsInCI are the scenarios of every test run.
const twinsInCI = 60

func TestTwins(t *testing.T) {
	from, count := *twinsFrom, twinsInCI
	if *twinsSeeds > 0 {
		count = *twinsSeeds
	}
	if *twinsSeed >= 0 {
		from, count = uint64(*twinsSeed), 1
	}
	lies := map[string]int{}
	for seed := from; seed < from+uint64(count); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			sc := newScenario(seed)
			dir := t.TempDir()
			var broken []string
			synctest.Test(t, func(t *testing.T) { broken = sc.play(t, dir) })
			for _, b := range broken {
				t.Error(b)
			}
			if len(broken) > 0 || *twinsSeed >= 0 {
				t.Logf("%s\nrepeat: go test ./internal/consensus/bft -run TestTwins -v -seed %d", sc, seed)
			}
			t.Logf("scenario %d: %d validators, height %d, %s after healing, lies %v", seed, sc.validators, sc.height, sc.took, sc.told())
			for lie, n := range sc.told() {
				lies[lie] += n
			}
		})
	}
	t.Logf("lies told: %v", lies)
	if count >= twinsInCI && len(lies) < len(forgeries) {
		t.Errorf("only %d of %d kinds of lies were told: %v", len(lies), len(forgeries), lies)
	}
}

// scenario is one seed's.
type scenario struct {
	seed       uint64
	validators int
	byzantine  []uint16 // identities, at most f
	twins      []uint16 // those of them that run twice; they have the sites from validators on
	lies       []string
	rounds     []round
	// leave says that the twins go silent when the links heal; otherwise both copies stay.
	leave bool

	forger *forger
	height ledger.Height
	took   time.Duration
}

// round is a time in which links are cut in one way.
type round struct {
	lasts time.Duration
	// group has a number for each site; sites hear their own group only. -1 hears nobody.
	group []int
	// requests says which sites are handed how many new requests.
	requests map[int]int
	restart  int // a site that restarts in the beginning; -1: none
}

func (sc *scenario) sites() int { return sc.validators + len(sc.twins) }

// identity returns the validator that a site stands for.
func (sc *scenario) identity(site int) uint16 {
	if site >= sc.validators {
		return sc.twins[site-sc.validators]
	}
	return uint16(site)
}

func (sc *scenario) honest(site int) bool { return !slices.Contains(sc.byzantine, sc.identity(site)) }

// String describes the scenario.
func (sc *scenario) String() string {
	lines := []string{fmt.Sprintf("%d validators, byzantine %v, twins %v, lies %v, then leave %t", sc.validators, sc.byzantine, sc.twins, sc.lies, sc.leave)}
	for _, r := range sc.rounds {
		lines = append(lines, fmt.Sprintf("%v: groups %v, requests %v, restart %d", r.lasts, r.group, r.requests, r.restart))
	}
	return strings.Join(lines, "\n")
}

func newScenario(seed uint64) *scenario {
	rng := rand.New(rand.NewPCG(seed, 11))
	sc := &scenario{seed: seed, validators: 4, leave: rng.IntN(3) == 0}
	f := 1
	if rng.IntN(10) == 0 {
		sc.validators, f = 7, 2
	}
	for _, i := range rng.Perm(sc.validators)[:f] {
		if rng.IntN(3) > 0 { // early leaders have more to lie about
			i = len(sc.byzantine)
		}
		if !slices.Contains(sc.byzantine, uint16(i)) {
			sc.byzantine = append(sc.byzantine, uint16(i))
		}
	}
	for _, b := range sc.byzantine {
		if rng.IntN(4) > 0 {
			sc.twins = append(sc.twins, b)
		}
	}
	for _, l := range forgeries {
		if rng.IntN(3) == 0 || len(sc.twins) == 0 && len(sc.lies) == 0 {
			sc.lies = append(sc.lies, l.name)
		}
	}
	for range 3 + rng.IntN(4) {
		sc.rounds = append(sc.rounds, sc.round(rng))
	}
	return sc
}

func (sc *scenario) round(rng *rand.Rand) round {
	r := round{lasts: time.Duration(20+rng.IntN(400)) * time.Millisecond, requests: map[int]int{}, restart: -1}
	if rng.IntN(2) == 0 { // long enough for views to change
		r.lasts = time.Duration(1500+rng.IntN(3000)) * time.Millisecond
	}
	groups := 1 + rng.IntN(3)
	for range sc.sites() {
		g := rng.IntN(groups)
		if rng.IntN(12) == 0 {
			g = -1
		}
		r.group = append(r.group, g)
	}
	for range 1 + rng.IntN(3) {
		if rng.IntN(2) == 0 { // to everybody, as an origin does
			for site := range sc.sites() {
				r.requests[site]++
			}
			continue
		}
		r.requests[rng.IntN(sc.sites())] += 1 + rng.IntN(2)
	}
	if rng.IntN(5) == 0 {
		r.restart = rng.IntN(sc.sites())
	}
	return r
}

// stage is where a scenario is played.
type stage struct {
	*scenario
	t       *testing.T
	suite   suite.Suite
	id      suite.Hash
	set     ledger.ValidatorSet
	signers []suite.Signer // by site
	ledgers []*conformance.Ledger
	engines []*Engine // nil while down
	dirs    []string
	net     *conformance.Network
	audit   *conformance.Audit
	next    int
}

// play plays the scenario and returns what was broken.
func (sc *scenario) play(t *testing.T, dir string) (broken []string) {
	g := newStage(t, sc, dir)
	defer func() {
		for site := range g.engines {
			g.stop(site)
		}
		g.net.Close()
		broken = append(broken, g.judge()...)
	}()
	for site := range g.engines {
		if err := g.start(site); err != nil {
			return []string{err.Error()}
		}
	}
	wait(300 * time.Millisecond)
	for _, r := range sc.rounds {
		if err := g.live(r); err != nil {
			return []string{err.Error()}
		}
	}
	return g.heal()
}

func newStage(t *testing.T, sc *scenario, dir string) *stage {
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	g := &stage{scenario: sc, t: t, suite: s, id: s.Hash("network", fmt.Append(nil, "twins ", sc.seed)), audit: conformance.NewAudit(s, viewIn)}
	var ids []uint16
	var keys []suite.Signer
	for i := range sc.validators {
		key, err := s.GenerateKey(rand.NewChaCha8([32]byte{byte(i), byte(sc.seed), byte(sc.seed >> 8), byte(sc.seed >> 16)}))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		g.set = append(g.set, ledger.Validator{Name: fmt.Sprintf("v%d", i), Key: key.Public()})
	}
	for site := range sc.sites() {
		id := sc.identity(site)
		ids = append(ids, id)
		signer := keys[id]
		if sc.honest(site) {
			signer = g.audit.Signer(id, signer)
		}
		g.signers = append(g.signers, signer)
		g.ledgers = append(g.ledgers, conformance.NewLedger(s, g.id, g.audit, conformance.Epoch{From: 1, Set: g.set}))
		g.dirs = append(g.dirs, filepath.Join(dir, fmt.Sprint(site)))
	}
	g.engines = make([]*Engine, sc.sites())
	g.net = conformance.NewNetworkOf(ids, sc.seed)
	sc.forger = newForger(g)
	g.net.Tap(sc.forger.tap)
	return g
}

func (g *stage) start(site int) error {
	e, err := New(Config{Suite: g.suite, Network: g.id, Signer: g.signers[site], Ledger: g.ledgers[site], Links: g.net.Links(site),
		Syncer: conformance.NewSyncer(g.suite, g.net, site, g.ledgers), Dir: g.dirs[site], Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	g.net.Attach(site, e)
	if err := e.Start(g.t.Context()); err != nil {
		return fmt.Errorf("site %d does not start: %w", site, err)
	}
	g.engines[site] = e
	return nil
}

func (g *stage) stop(site int) {
	g.net.Attach(site, nil)
	if e := g.engines[site]; e != nil {
		g.engines[site] = nil
		e.Stop()
	}
}

func wait(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

// live lives through a round.
func (g *stage) live(r round) error {
	for a := range r.group {
		for b := range r.group {
			if a != b {
				g.net.Cut(a, b, r.group[a] < 0 || r.group[a] != r.group[b])
			}
		}
	}
	if r.restart >= 0 {
		g.stop(r.restart)
		if err := g.start(r.restart); err != nil {
			return err
		}
	}
	most := 0
	for _, n := range r.requests {
		most = max(most, n)
	}
	for k := range most {
		var sites []int
		for site := range g.sites() {
			if r.requests[site] > k {
				sites = append(sites, site)
			}
		}
		if err := g.submit(g.request(), sites...); err != nil {
			return err
		}
	}
	wait(r.lasts)
	return nil
}

func (g *stage) request() []byte {
	g.next++
	return codec.MustMarshal(&ledger.OrderingRequest{Kind: ledger.RequestCertificate, Body: fmt.Appendf(nil, "request %d", g.next)})
}

// submit hands a request to sites.
func (g *stage) submit(raw []byte, sites ...int) error {
	for _, site := range sites {
		if g.engines[site] == nil {
			continue
		}
		err := g.engines[site].Submit(g.t.Context(), raw)
		if err != nil && !errors.Is(err, consensus.ErrDuplicate) && !errors.Is(err, consensus.ErrBusy) {
			return fmt.Errorf("submit to site %d: %w", site, err)
		}
	}
	return nil
}

// twinsMax is within what time a new request must be ordered by all honest validators once the links are whole. The byzantine ones
// may lead the first views, and say what they like in all others.
const twinsMax = 20 * time.Second

// heal makes the links whole. The lies end; twins that stay go on being two.
func (g *stage) heal() []string {
	g.forger.quit()
	for a := range g.sites() {
		for b := range g.sites() {
			g.net.Cut(a, b, false)
		}
	}
	if g.leave {
		for site := g.validators; site < g.sites(); site++ {
			g.stop(site)
		}
	}
	raw := g.request()
	id, err := g.ledgers[0].RequestID(raw)
	if err != nil {
		return []string{err.Error()}
	}
	began := time.Now()
	for {
		if err := g.submit(raw, g.all()...); err != nil { // as its origin does until it is ordered
			return []string{err.Error()}
		}
		done := true
		for site, l := range g.ledgers {
			done = done && (!g.honest(site) || l.Ordered(id))
		}
		g.took = time.Since(began)
		if done {
			return nil
		}
		if g.took > twinsMax {
			return []string{fmt.Sprintf("nothing new was ordered by all within %v:%s", twinsMax, g.describe())}
		}
		wait(50 * time.Millisecond)
	}
}

func (g *stage) all() (sites []int) {
	for site := range g.sites() {
		sites = append(sites, site)
	}
	return sites
}

func (g *stage) describe() (out string) {
	for site, e := range g.engines {
		if e == nil {
			out += fmt.Sprintf("\nsite %d is down", site)
			continue
		}
		out += fmt.Sprintf("\nsite %d: height %d, %+v", site, g.ledgers[site].Height(), e.Status())
	}
	return out
}

// judge looks for two certified blocks at one height, whoever has them, for requests that were ordered twice, and for honest
// validators that voted twice.
func (g *stage) judge() (broken []string) {
	broken = append(broken, g.audit.Faults()...)
	agreed := map[ledger.Height]ledger.Header{}
	ordered := map[consensus.RequestID]ledger.Height{}
	for site, l := range g.ledgers {
		g.height = max(g.height, l.Height())
		for h := ledger.Height(1); h <= l.Height(); h++ {
			b, err := l.Block(h)
			if err != nil {
				return append(broken, err.Error())
			}
			if err := ledger.VerifyCertificate(g.suite, g.set, &b.Header, &b.Certificate); err != nil {
				broken = append(broken, fmt.Sprintf("site %d: %v", site, err))
			}
			if other, ok := agreed[h]; ok && other != b.Header {
				broken = append(broken, fmt.Sprintf("site %d has another certified block at height %d", site, h))
			}
			agreed[h] = b.Header
			ids, err := l.Requests(b.Payload)
			if err != nil {
				return append(broken, err.Error())
			}
			for _, id := range ids {
				if at, ok := ordered[id]; ok && at != h {
					broken = append(broken, fmt.Sprintf("request %s was ordered at heights %d and %d", id, at, h))
				}
				ordered[id] = h
			}
		}
	}
	return broken
}
