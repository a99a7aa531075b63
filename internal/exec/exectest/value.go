package exectest

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"aval/codec"
	"aval/internal/vm"
	"aval/ledger"
	"aval/suite"
)

var hashPattern = regexp.MustCompile(`\b[0-9a-f]{64,66}\b`)

// lex splits a line into words, the signs [ ] { } = and quoted text, which keeps its first quote.
func lex(line string) ([]string, error) {
	var out []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		switch {
		case strings.ContainsRune("[]{}=", rune(line[0])):
			out, line = append(out, line[:1]), line[1:]
		case line[0] == '"':
			text, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("quoted text at %s: %w", line, err)
			}
			line = line[len(text):]
			if text, err = strconv.Unquote(text); err != nil {
				return nil, err
			}
			out = append(out, `"`+text)
		default:
			n := strings.IndexAny(line, " []{}=")
			if n < 0 {
				n = len(line)
			}
			out, line = append(out, line[:n]), line[n:]
		}
	}
	return out, nil
}

// reader reads values out of the words of one line.
type reader struct {
	w     *World
	words []string
}

func (r *reader) next() string {
	if len(r.words) == 0 {
		return ""
	}
	word := r.words[0]
	r.words = r.words[1:]
	return word
}

func (r *reader) peek(i int) string {
	if i < len(r.words) {
		return r.words[i]
	}
	return ""
}

// fields reads field=value pairs into the structure v until the words end or a } comes.
func (r *reader) fields(v reflect.Value) error {
	for len(r.words) > 0 && r.peek(0) != "}" {
		name := r.next()
		if r.next() != "=" {
			return fmt.Errorf("%s must be followed by =", name)
		}
		f, ok := field(v, name)
		if !ok {
			return fmt.Errorf("%s has no field %s", v.Type(), name)
		}
		if err := r.value(f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// field finds a field by its name in JSON.
func field(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); tag == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// value reads one value into v.
func (r *reader) value(v reflect.Value) error {
	switch {
	case r.peek(0) == "[" && v.Kind() == reflect.Slice:
		r.next()
		for len(r.words) > 0 && r.peek(0) != "]" {
			item := reflect.New(v.Type().Elem()).Elem()
			if err := r.value(item); err != nil {
				return err
			}
			v.Set(reflect.Append(v, item))
		}
		if r.next() != "]" {
			return errors.New("a list must end with ]")
		}
		return nil
	case r.peek(0) == "{" && v.Kind() == reflect.Struct:
		r.next()
		if err := r.fields(v); err != nil {
			return err
		}
		if r.next() != "}" {
			return errors.New("a structure must end with }")
		}
		return nil
	}
	return r.w.scalar(r.next(), v)
}

// scalar reads one word into v.
func (w *World) scalar(word string, v reflect.Value) (err error) {
	word = strings.TrimPrefix(word, `"`)
	switch p := v.Addr().Interface().(type) {
	case *ledger.Fen:
		*p, err = amount(word)
	case *ledger.Time:
		*p, err = w.time(word)
	case *ledger.Date:
		*p, err = w.date(word)
	case *ledger.PartyID:
		*p = w.party(word)
	case *suite.Hash:
		*p, err = w.hash(word)
	case *suite.PublicKey:
		var m *Member
		if m, err = w.member(word); err == nil {
			*p = m.Signer.Public()
		}
	case *ledger.MemberGrant:
		var m *Member
		if m, err = w.member(word); err == nil {
			*p = m.Grant
		}
	case *ledger.Role:
		if *p = 0; word != "none" {
			*p, err = ledger.ParseRole(word)
		}
	case *ledger.Capability:
		*p, err = ledger.ParseCapability(word)
	default:
		err = plain(word, v)
	}
	return err
}

// enums are the words for numbers, by type.
var enums = map[reflect.Type][]string{
	reflect.TypeFor[ledger.Class]():         {"", "admin", "money", "trade", "finance", "order", "propose", "system"},
	reflect.TypeFor[ledger.LimitPurpose]():  {"", "issue", "finance"},
	reflect.TypeFor[ledger.Proceeds]():      {"", "pledgee", "deposit"},
	reflect.TypeFor[ledger.Discharge]():     {"", "transfer", "payment"},
	reflect.TypeFor[ledger.Size]():          {"", "large", "medium", "small", "micro"},
	reflect.TypeFor[ledger.InvoiceScheme](): {"", "plain"},
	reflect.TypeFor[ledger.LotState]():      {"", "held", "offered", "requested", "paid"},
	reflect.TypeFor[ledger.VoucherStatus](): {"", "offered", "active", "rejected", "expired", "cancelled", "paid"},
	reflect.TypeFor[ledger.OfferStatus]():   {"", "open", "accepted", "rejected", "expired", "withdrawn"},
	reflect.TypeFor[ledger.RequestStatus](): {"", "open", "accepted", "approved", "registered", "disbursed", "withdrawn",
		"expired"},
	reflect.TypeFor[ledger.ProposalStatus](): {"", "open", "executed", "withdrawn"},
	reflect.TypeFor[ledger.TransferCause]():  {"", "issue", "offer", "finance"},
	reflect.TypeFor[ledger.HoldReason]():     {"", "owner", "frozen", "pledged", "unrouted"},
	reflect.TypeFor[ledger.WaitingKind]():    {"", "voucher", "offer", "request"},
}

func plain(word string, v reflect.Value) error {
	if i := slices.Index(enums[v.Type()], word); i > 0 {
		v.SetUint(uint64(i))
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(word)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(word)
		v.SetBool(b)
		return err
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(word, 10, v.Type().Bits())
		v.SetUint(n)
		return err
	default:
		return fmt.Errorf("%q cannot be read as %s", word, v.Type())
	}
}

func amount(word string) (ledger.Fen, error) {
	if digits, ok := strings.CutSuffix(word, "fen"); ok {
		n, err := strconv.ParseUint(digits, 10, 64)
		return ledger.Fen(n), err
	}
	return ledger.ParseYuan(word)
}

// span reads +3d, -2h, +5m or +1s.
func span(word string) (ledger.Time, error) {
	units := map[byte]ledger.Time{'d': ledger.Day, 'h': ledger.Hour, 'm': ledger.Minute, 's': ledger.Second}
	unit := units[word[len(word)-1]]
	n, err := strconv.ParseInt(word[:len(word)-1], 10, 64)
	if err != nil || unit == 0 {
		return 0, fmt.Errorf("%q is no span such as +3d, +2h, +5m or +1s", word)
	}
	return ledger.Time(n) * unit, nil
}

func relative(word string) bool { return strings.HasPrefix(word, "+") || strings.HasPrefix(word, "-") }

func (w *World) time(word string) (ledger.Time, error) {
	if relative(word) {
		d, err := span(word)
		return w.Now() + d, err
	}
	if digits, ok := strings.CutSuffix(word, "ms"); ok {
		n, err := strconv.ParseInt(digits, 10, 64)
		return ledger.Time(n), err
	}
	day, clock, _ := strings.Cut(word, "T")
	d, err := ledger.ParseDate(day)
	if err != nil || clock == "" {
		return d.Start(), err
	}
	var h, m int
	if _, err := fmt.Sscanf(clock, "%d:%d", &h, &m); err != nil {
		return 0, fmt.Errorf("time %q: %w", word, err)
	}
	return d.Start() + ledger.Time(h)*ledger.Hour + ledger.Time(m)*ledger.Minute, nil
}

func (w *World) date(word string) (ledger.Date, error) {
	if relative(word) {
		d, err := span(word)
		return w.Now().Date() + ledger.Date(d/ledger.Day), err
	}
	return ledger.ParseDate(word)
}

// party returns the id that word stands for; an unknown word stands for itself.
func (w *World) party(word string) ledger.PartyID {
	if id, ok := w.parties[word]; ok {
		return id
	}
	return ledger.PartyID(word)
}

func (w *World) member(word string) (*Member, error) {
	if m, ok := w.members[word]; ok {
		return m, nil
	}
	return nil, fmt.Errorf("no key is called %q", word)
}

// hash reads $X, $X.1, #text or @seller/number.
func (w *World) hash(word string) (suite.Hash, error) {
	if word == "" {
		return suite.Hash{}, errors.New("a hash is missing")
	}
	switch rest := word[1:]; word[0] {
	case '$':
		h, ok := w.hashes[rest]
		if !ok {
			return h, fmt.Errorf("nothing is bound to %s", word)
		}
		return h, nil
	case '#':
		return w.bind(word, w.Suite.Hash(ledger.DomainDocument, []byte(rest))), nil
	case '@':
		seller, number, _ := strings.Cut(rest, "/")
		return w.bind(word, ledger.InvoiceFingerprint(w.Suite, w.Network, w.party(seller), number)), nil
	default:
		return suite.Hash{}, fmt.Errorf("%q is no hash: $bound, #text or @seller/number", word)
	}
}

// bind makes h be printed as name, unless it has a name.
func (w *World) bind(name string, h suite.Hash) suite.Hash {
	if _, ok := w.names[h.String()]; !ok {
		w.names[h.String()] = name
	}
	return h
}

// bindIDs binds X, and X.0 to X.31, to what operation op of tx makes.
func (w *World) bindIDs(name string, tx suite.Hash, op int) {
	w.hashes[name] = ledger.DerivedID(w.Suite, tx, op, 0)
	for n := range ledger.OfferPartsMax {
		w.hashes[fmt.Sprintf("%s.%d", name, n)] = ledger.DerivedID(w.Suite, tx, op, n)
		w.names[ledger.DerivedID(w.Suite, tx, op, n).String()] = fmt.Sprintf("$%s.%d", name, n)
	}
	w.names[w.hashes[name].String()] = "$" + name
}

// named is an operation and the name that its line binds.
type named struct {
	name string
	op   ledger.Op
}

// ops reads one operation a line.
func (w *World) ops(input string) ([]named, error) {
	var out []named
	for line := range strings.Lines(input) {
		words, err := lex(line)
		if err != nil {
			return nil, err
		}
		if len(words) == 0 {
			continue
		}
		n, err := w.op(&reader{w: w, words: words})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.TrimSpace(line), err)
		}
		out = append(out, n)
	}
	if len(out) == 0 {
		return nil, errors.New("name at least one operation")
	}
	return out, nil
}

func (w *World) op(r *reader) (named, error) {
	var out named
	if r.peek(1) == "=" {
		out.name = r.next()
		r.next()
	}
	var kind ledger.Kind
	if err := kind.UnmarshalText([]byte(r.next())); err != nil {
		return out, err
	}
	info, _ := kind.Info()
	var party ledger.PartyID
	if r.peek(1) != "=" && len(r.words) > 0 {
		party = w.party(r.next())
	}
	body := info.New()
	if err := r.fields(reflect.ValueOf(body).Elem()); err != nil {
		return out, err
	}
	if len(r.words) > 0 {
		return out, fmt.Errorf("%s is too much", r.words[0])
	}
	if e, ok := body.(*ledger.EvidenceRegister); ok && e.Twin.IsZero() {
		e.Twin = ledger.InvoiceTwin(w.Suite, w.Network, e.Seller, e.Buyer, e.Face, e.Issued)
	}
	if a, ok := body.(*ledger.FinanceAccept); ok && a.Terms == (ledger.QuoteTerms{}) {
		q, _ := vm.Load[ledger.Quote](w.Journal(), ledger.QuoteKey(a.Request, a.Funder))
		a.Terms = q.Terms()
	}
	b, err := codec.Marshal(body)
	out.op = ledger.Op{Kind: kind, Party: party, Body: b}
	return out, err
}
