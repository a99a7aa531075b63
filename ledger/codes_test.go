package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"aval/codec"
	"aval/ledger"
)

// TestCodes: every code that names itself has one name, and what spends an id is decided for each.
func TestCodes(t *testing.T) {
	names := map[string]ledger.Code{}
	free := map[ledger.Code]bool{
		ledger.CodePolicyUnmet: true, ledger.CodeKeyUnknown: true, ledger.CodeKeyRevoked: true, ledger.CodeKeyExpired: true,
		ledger.CodeSamePerson: true, ledger.CodePartyUnknown: true, ledger.CodePossession: true, ledger.CodeExpired: true,
		ledger.CodeReplay: true, ledger.CodeClockAdvance: true,
	}
	for c := range ledger.Code(1000) {
		name := c.String()
		if strings.HasPrefix(name, "CODE_") {
			continue
		}
		if other, dup := names[name]; dup {
			t.Errorf("codes %d and %d are both called %s", other, c, name)
		}
		names[name] = c
		if want := (c == 0 || c >= 100) && !free[c]; c.Spends() != want {
			t.Errorf("%s spends: %v", c, c.Spends())
		}
	}
	if len(names) < 69 {
		t.Errorf("%d codes have a name", len(names))
	}
	if got := ledger.Code(999).String(); got != "CODE_999" {
		t.Errorf("an unknown code is called %s", got)
	}
	var f *ledger.Failure
	if err := error(ledger.Failf(ledger.CodeReplay, "tx %d", 7)); !errors.As(err, &f) || err.Error() != "REPLAY (101): tx 7" {
		t.Errorf("%v", err)
	}
}

// TestKinds: numbers ascend, names are unique and read back, bodies know their kind and decode from their own encoding.
func TestKinds(t *testing.T) {
	names := map[string]bool{}
	last := ledger.Kind(0)
	for _, info := range ledger.Kinds() {
		if info.Kind <= last || names[info.Name] {
			t.Errorf("%s (%d) is not in order, or its name is taken", info.Name, info.Kind)
		}
		last, names[info.Name] = info.Kind, true
		body := info.New()
		if body.Kind() != info.Kind {
			t.Errorf("the body of %s says %s", info.Kind, body.Kind())
		}
		var back ledger.Kind
		text, err := info.Kind.MarshalText()
		if err == nil {
			err = back.UnmarshalText(text)
		}
		if err != nil || back != info.Kind {
			t.Errorf("%s reads as %s, %v", info.Kind, back, err)
		}
		op := ledger.NewOp("p", body)
		if got, err := op.Decode(); err != nil || string(codec.MustMarshal(got)) != string(op.Body) {
			t.Errorf("a zero %s does not decode: %v", info.Kind, err)
		}
		for _, bad := range [][]byte{nil, {0}, {0xf6}, {0x80}, {0xa0}, append(op.Body[:len(op.Body):len(op.Body)], 0), make([]byte, 64)} {
			wrong := ledger.Op{Kind: info.Kind, Body: bad}
			if _, err := wrong.Decode(); err == nil && string(bad) != string(op.Body) {
				t.Errorf("%s was read from %x", info.Kind, bad)
			}
		}
	}
	unknown := ledger.Op{Kind: 9999, Body: []byte{0xa0}}
	if _, err := unknown.Decode(); err == nil {
		t.Error("an unknown kind was decoded")
	}
	if new(ledger.Kind).UnmarshalText([]byte("money.print")) == nil || ledger.Kind(9999).String() != "kind 9999" {
		t.Error("an unknown kind has a name")
	}
}
