package exectest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"aval/codec"
	"aval/internal/exec"
	"aval/internal/native/voucher"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

// Start is the wall time at which worlds begin, 2026-09-15 09:00 at UTC+8.
var Start = ledger.CivilDate(2026, 9, 15).Start() + 9*ledger.Hour

// issuerSecret salts person commitments in worlds.
var issuerSecret = []byte("the secret of the identity service")

// Member is a key that a transcript knows by name.
type Member struct {
	Name   string
	Party  string
	Signer suite.Signer
	Grant  ledger.MemberGrant
}

// World is one network in memory. It is not safe for concurrent use.
type World struct {
	Suite    suite.Suite
	Genesis  *ledger.Genesis
	Network  suite.Hash
	Executor *exec.Executor
	// State is the head: values by raw key.
	State  map[string][]byte
	Height ledger.Height
	Wall   ledger.Time
	// Last is the result of the newest block.
	Last *exec.Result

	offsets []ledger.Time // by height
	spent   map[suite.Hash]ledger.Time
	salt    uint64
	parties map[string]ledger.PartyID
	members map[string]*Member
	hashes  map[string]suite.Hash // bound names
	names   map[string]string     // what stands for ids, keys and hashes in output
	kept    map[string]*ledger.SignedTx
	queue   []exec.Tx
	held    []suite.Hash // what due-date work held in the newest block in which it did
	issuer  suite.Signer
	clock   suite.Signer
}

// NewWorld returns a network that has executed nothing but its genesis. The party "authority" exists from the start, with
// the keys authority.m, authority.c and authority.a.
func NewWorld(s suite.Suite, mode ledger.ClockMode) (*World, error) {
	w := &World{
		Suite: s, Wall: Start, State: map[string][]byte{}, spent: map[suite.Hash]ledger.Time{},
		parties: map[string]ledger.PartyID{}, members: map[string]*Member{}, hashes: map[string]suite.Hash{},
		names: map[string]string{}, kept: map[string]*ledger.SignedTx{},
	}
	w.issuer, w.clock = w.Signer("issuer"), w.Signer("clock")
	w.members["clock"] = &Member{Name: "clock", Signer: w.clock}
	authority := w.DeclareParty("authority", "")
	g := &ledger.Genesis{
		Version: ledger.GenesisVersion, Name: "test", Suite: s.ID(), Clock: mode, Wall: Start, Start: Start,
		Authority: ledger.GenesisParty{ID: authority, Name: "Root authority"},
		Issuers: []ledger.IdentityIssuer{
			{Name: "identity service", Key: w.issuer.Public()}, {Name: "second service", Key: w.Signer("second").Public()},
		},
		Validators: ledger.ValidatorSet{{Name: "solo", Key: w.Signer("validator").Public()}},
		Params:     ledger.DefaultParams(1),
	}
	if mode == ledger.ClockLab {
		g.ClockKey = w.clock.Public()
	}
	for _, k := range defaultKeys {
		m := w.declareKey("authority", k.suffix)
		g.Authority.Members = append(g.Authority.Members, ledger.GenesisMember{
			Key: m.Signer.Public(), Caps: k.caps, Person: ledger.PersonCommitment(s, issuerSecret, m.Name, authority),
		})
	}
	w.Genesis, w.Network = g, g.NetworkID(s)
	var err error
	if w.Executor, err = exec.New(exec.Config{Suite: s, Genesis: g}); err != nil {
		return nil, err
	}
	changes, err := exec.Genesis(exec.Config{Suite: s, Genesis: g})
	if err != nil {
		return nil, err
	}
	w.commit(changes)
	w.offsets = []ledger.Time{g.Offset()}
	return w, nil
}

// defaultKeys are the keys that a party is given unless a transcript says otherwise.
var defaultKeys = []struct {
	suffix string
	caps   ledger.Capability
}{{"m", ledger.CapMaker}, {"c", ledger.CapChecker}, {"a", ledger.CapAdmin}}

// Signer returns the key pair that a name stands for, with signatures that repeat.
func (w *World) Signer(name string) suite.Signer {
	signer, err := w.Suite.GenerateKey(&stream{suite: w.Suite, seed: name})
	if err != nil {
		panic(fmt.Sprintf("key of %s: %v", name, err))
	}
	return suite.Deterministic(signer)
}

// stream is an endless deterministic source of bytes.
type stream struct {
	suite suite.Suite
	seed  string
	n     uint64
	rest  []byte
}

var _ io.Reader = (*stream)(nil)

// Read fills b.
func (s *stream) Read(b []byte) (int, error) {
	for len(s.rest) < len(b) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], s.n)
		s.n++
		h := s.suite.Hash("test stream", []byte(s.seed), n[:])
		s.rest = append(s.rest, h[:]...)
	}
	copy(b, s.rest)
	s.rest = s.rest[len(b):]
	return len(b), nil
}

// DeclareParty makes name stand for id, or for the next made-up legal id if id is empty.
func (w *World) DeclareParty(name string, id ledger.PartyID) ledger.PartyID {
	if id == "" {
		var err error
		if id, err = ledger.CompleteUSCC(fmt.Sprintf("91310000MA%07d", len(w.parties)+1)); err != nil {
			panic(err)
		}
	}
	w.parties[name] = id
	w.names[string(id)] = name
	return id
}

// declareKey makes PARTY.suffix stand for a key pair of its own.
func (w *World) declareKey(party, suffix string) *Member {
	name := party + "." + suffix
	m := &Member{Name: name, Party: party, Signer: w.Signer(name)}
	w.members[name] = m
	w.names[m.Signer.Public().String()] = name
	return m
}

// DeclareMember makes PARTY.suffix stand for a key with a good credential; person names who holds it.
func (w *World) DeclareMember(party, suffix string, caps ledger.Capability, person string) (*Member, error) {
	m := w.declareKey(party, suffix)
	id := w.parties[party]
	year := w.Now() + 365*ledger.Day
	m.Grant = ledger.MemberGrant{Key: m.Signer.Public(), Caps: caps, NotBefore: Start, NotAfter: year}
	return m, w.credential(m, w.issuer, ledger.Credential{
		Network: w.Network, Party: id, Key: m.Grant.Key, NotAfter: year,
		Person: ledger.PersonCommitment(w.Suite, issuerSecret, person, id),
	})
}

func (w *World) credential(m *Member, issuer suite.Signer, c ledger.Credential) (err error) {
	m.Grant.Credential, err = ledger.SignCredential(issuer, c)
	return err
}

// Party returns the id that name stands for.
func (w *World) Party(name string) ledger.PartyID { return w.parties[name] }

// Now returns the ledger time of the next block, if it comes at once.
func (w *World) Now() ledger.Time { return w.Wall + w.offset(w.Height+1) }

// offset is what a header at height h adds to wall time: the record after h − Lag.
func (w *World) offset(h ledger.Height) ledger.Time {
	if len(w.offsets) == 0 {
		return 0
	}
	return w.offsets[max(int(h)-ledger.Lag, 0)]
}

// Get implements vm.View over the head.
func (w *World) Get(key []byte) ([]byte, bool, error) {
	v, ok := w.State[string(key)]
	return v, ok, nil
}

// Spent implements exec.Window.
func (w *World) Spent(id suite.Hash) bool {
	until, ok := w.spent[id]
	return ok && until >= w.Wall
}

// Journal returns the head to read from.
func (w *World) Journal() *vm.Journal { return vm.NewJournal(w) }

// Header returns the header of the next block, after step of wall time.
func (w *World) Header(step ledger.Time) *ledger.Header {
	h := w.Height + 1
	return &ledger.Header{
		Version: ledger.HeaderVersion, Suite: w.Suite.ID(), Network: w.Network, Height: h,
		Wall: w.Wall + step, Time: w.Wall + step + w.offset(h),
	}
}

// Block executes and commits the next block, after step of wall time, and audits the whole state.
func (w *World) Block(step ledger.Time, txs ...exec.Tx) ([]ledger.Receipt, error) {
	h := w.Header(step)
	w.Wall = h.Wall
	result, err := w.Executor.Apply(w, &exec.Input{Header: h, Txs: txs}, w)
	if err != nil {
		return nil, err
	}
	w.Height, w.Last = h.Height, result
	w.commit(result.Changes)
	offset, err := exec.ClockOffset(w)
	if err != nil {
		return nil, err
	}
	w.offsets = append(w.offsets, offset)
	for _, s := range result.Spent {
		w.spent[s.ID] = s.ValidUntil
	}
	w.noteHolds(result.Receipts)
	return result.Receipts, w.Audit()
}

func (w *World) noteHolds(receipts []ledger.Receipt) {
	var held []suite.Hash
	for i := range receipts {
		for _, e := range receipts[i].Events {
			if receipts[i].Boundary && e.Kind == "money.held" {
				held = append(held, e.Ref)
			}
		}
	}
	if len(held) > 0 {
		w.held = held
	}
}

func (w *World) commit(changes []vm.Change) {
	for _, c := range changes {
		if c.New == nil {
			delete(w.State, string(c.Key))
		} else {
			w.State[string(c.Key)] = c.New
		}
	}
}

// NewTx returns an unsigned transaction that is valid for five minutes.
func (w *World) NewTx(ops ...ledger.Op) *ledger.SignedTx {
	w.salt++
	t := &ledger.SignedTx{Tx: ledger.Tx{
		Version: ledger.TxVersion, Network: w.Network, ValidUntil: w.Wall + 5*ledger.Minute, Ops: ops,
	}}
	binary.BigEndian.PutUint64(t.Tx.Salt[8:], w.salt)
	return t
}

// Intake does what a node does with bytes that somebody submits: it decodes and verifies. Its errors are *ledger.Failure.
func (w *World) Intake(b []byte) (exec.Tx, error) {
	t, err := ledger.DecodeSignedTx(b)
	if err != nil {
		return exec.Tx{}, err
	}
	if err := t.CheckForm(w.Network); err != nil {
		return exec.Tx{}, err
	}
	if err := t.VerifySignatures(w.Suite); err != nil {
		return exec.Tx{}, err
	}
	return exec.Tx{ID: t.Tx.ID(w.Suite), Signed: w.Suite.Hash(ledger.DomainSignedTx, b), Body: t}, nil
}

// Audit recomputes from the whole state what the checks at each commit derive from its changes: what banks owe, every
// voucher from the ground, every issuer.
func (w *World) Audit() error {
	return errors.Join(w.auditMoney(), w.auditHeld(), w.auditTrade(), w.auditDrawn())
}

// auditHeld verifies that what is held of every account is what holds, vouchers and pools have set aside of it.
func (w *World) auditHeld() error {
	j, held := w.Journal(), map[[2]ledger.PartyID]ledger.Fen{}
	for key := range w.State {
		switch k := []byte(key); ledger.TableOf(k) {
		case ledger.TableAccount:
			a, _ := vm.Load[ledger.Account](j, k)
			held[[2]ledger.PartyID{a.Bank, a.Holder}] += a.Held
		case ledger.TableHold:
			h, _ := vm.Load[ledger.Hold](j, k)
			held[[2]ledger.PartyID{h.Bank, h.Owner}] -= h.Amount
		case ledger.TableVoucher:
			v, _ := vm.Load[ledger.Voucher](j, k)
			held[[2]ledger.PartyID{v.Bank, v.Issuer}] -= v.Funded
		case ledger.TableDayPool:
			p, _ := vm.Load[ledger.DayPool](j, k)
			issuer, bank := ledger.PartyID(k[2:2+k[1]]), ledger.PartyID(k[3+k[1]:3+k[1]+k[2+k[1]]])
			held[[2]ledger.PartyID{bank, issuer}] -= p.Funds
		default:
		}
	}
	for at, left := range held {
		if left != 0 {
			return fmt.Errorf("audit: %d fen held of %s with %s belong to nothing", int64(left), w.names[string(at[1])], w.names[string(at[0])])
		}
	}
	return nil
}

func (w *World) auditTrade() error {
	j := w.Journal()
	var errs []error
	for key := range w.State {
		switch ledger.TableOf([]byte(key)) {
		case ledger.TableVoucher:
			errs = append(errs, voucher.Audit(j, suite.Hash([]byte(key[1:]))))
		case ledger.TableParty:
			p, _ := vm.Load[ledger.Party](j, []byte(key))
			errs = append(errs, voucher.AuditIssuer(j, p.ID))
		default:
		}
	}
	return errors.Join(errs...)
}

func (w *World) auditMoney() error {
	have, owed := map[ledger.PartyID]uint64{}, map[ledger.PartyID]uint64{}
	for key, value := range w.State {
		switch ledger.TableOf([]byte(key)) {
		case ledger.TableAccount:
			var a ledger.Account
			if err := codec.Unmarshal(value, &a); err != nil {
				return err
			}
			if a.Balance > math.MaxInt64 || a.Held > math.MaxInt64 {
				return fmt.Errorf("audit: account %+v", a)
			}
			have[a.Bank] += uint64(a.Balance + a.Held)
		case ledger.TableSupply:
			var s ledger.Supply
			if err := codec.Unmarshal(value, &s); err != nil {
				return err
			}
			owed[s.Bank] += uint64(s.Minted - s.Burned)
		default:
		}
		if len(key) > ledger.StateKeyBytesMax || len(value) > ledger.StateValueBytesMax {
			return fmt.Errorf("audit: entry %x has %d bytes", key, len(value))
		}
	}
	for bank, sum := range have {
		if owed[bank] != sum {
			return fmt.Errorf("audit: bank %s owes %d, its accounts hold %d", w.names[string(bank)], owed[bank], sum)
		}
	}
	return nil
}

// Redact replaces ids, keys and bound hashes in text by their names, and other hashes by <hash>.
func (w *World) Redact(text string) string {
	long := slices.SortedFunc(func(yield func(string) bool) {
		for s := range w.names {
			if !yield(s) {
				return
			}
		}
	}, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range long {
		pairs = append(pairs, s, w.names[s])
	}
	return hashPattern.ReplaceAllString(strings.NewReplacer(pairs...).Replace(text), "<hash>")
}
