package demo

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aval/api"
	"aval/client"
	"aval/ledger"
	"aval/suite"
)

func TestTable(t *testing.T) {
	table := newTable("Name", ">Amount", "Note")
	table.row("Ruida", ledger.Fen(3_500_000_00), "held")
	table.row("Hengtong …", ledger.Fen(1), "")
	table.total = []string{"", "3,500,000.01", ""}
	var sb strings.Builder
	if err := table.write(&sb); err != nil {
		t.Fatal(err)
	}
	want := `  Name              Amount  Note
  ----------  ------------  ----
  Ruida       3,500,000.00  held
  Hengtong …          0.01
  ----------  ------------  ----
              3,500,000.01
`
	if sb.String() != want {
		t.Errorf("the table is\n%s\nexpected\n%s", sb.String(), want)
	}
}

func TestReporterKeepsTheBarBelowTheStory(t *testing.T) {
	var screen bytes.Buffer
	r := &reporter{story: &screen, bar: &screen, total: 4}
	r.step("first")
	r.step("second")
	r.say(dayOpen, "%s happens", "something")
	r.finish()
	r.printf("end\n")
	const empty, quarter = "\r[                            ]   0 %  first\x1b[K", "\r[=======                     ]  25 %  second\x1b[K"
	want := "\r\x1b[K" + empty + "\r\x1b[K" + quarter + "\r\x1b[K" + "  2026-09-15  something happens\n" + quarter + "\r\x1b[K" + "end\n"
	if screen.String() != want {
		t.Errorf("the screen received\n%q\nexpected\n%q", screen.String(), want)
	}
}

func TestReporterRemembersTheFirstErrorOfWriting(t *testing.T) {
	closed, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	r := &reporter{story: closed}
	r.say(dayOpen, "unheard")
	r.table("nor this", newTable("a"))
	if !errors.Is(r.err, os.ErrClosed) {
		t.Errorf("the error is %v", r.err)
	}
}

func TestPlainNamesPartiesAndShortensIDs(t *testing.T) {
	r := &reporter{names: map[ledger.PartyID]string{"91990000DEMA00021N": "Huachen Auto"}}
	id := suite.Hash{0xab, 0xcd, 0xef, 0x01, 0x23}.String()
	if got := r.plain("voucher " + id + " of 91990000DEMA00021N"); got != "voucher abcdef01 of Huachen Auto" {
		t.Errorf("got %q", got)
	}
	if got := clip("0123456789", 5); got != "0123…" {
		t.Errorf("clipped to %q", got)
	}
}

func TestJudge(t *testing.T) {
	refused := func(code ledger.Code) error {
		return &client.FailedError{Outcome: &api.Outcome{Receipt: &ledger.Receipt{Code: code, Message: "the lot is frozen; ask the court", FailedOp: 0}}}
	}
	for name, tc := range map[string]struct {
		err  error
		want Refusal
	}{
		"right":       {refused(ledger.CodeLotFrozen), Refusal{Got: ledger.CodeLotFrozen, Name: "LOT_FROZEN", Message: "the lot is frozen", OK: true}},
		"wrong":       {refused(ledger.CodeLotPaid), Refusal{Got: ledger.CodeLotPaid, Name: "LOT_PAID", Message: "the lot is frozen"}},
		"passed":      {nil, Refusal{Message: "the ledger let it pass"}},
		"unreachable": {errors.New("no node"), Refusal{Message: "no node"}},
	} {
		tc.want.Case, tc.want.Want = name, ledger.CodeLotFrozen
		if got := judge(name, ledger.CodeLotFrozen, tc.err); got != tc.want {
			t.Errorf("%s: %+v, expected %+v", name, got, tc.want)
		}
	}
}

func TestVerdictNamesWhatDiffers(t *testing.T) {
	r := &Result{}
	r.check("sums", "right", nil)
	r.flag("an alert", true, "seen")
	if err := r.verdict(); err != nil || !r.OK {
		t.Errorf("all is right, but %v", err)
	}
	r.check("one history", "", errors.New("block 7 differs"))
	r.Refusals = append(r.Refusals, judge("a forged confirmation", ledger.CodeKeyUnknown, nil))
	err := r.verdict()
	if err == nil || r.OK || !strings.Contains(err.Error(), "one history: block 7 differs") || !strings.Contains(err.Error(), "a forged confirmation: expected KEY_UNKNOWN (201)") {
		t.Errorf("the verdict is %v", err)
	}
}

func TestCheckChain(t *testing.T) {
	v := &api.Voucher{Voucher: ledger.Voucher{Face: 100, Paid: 40, Status: ledger.VoucherActive}}
	lot := func(from, to ledger.Fen, state ledger.LotState) api.Lot {
		return api.Lot{Lot: ledger.Lot{From: from, To: to, State: state}}
	}
	held, paid := ledger.LotHeld, ledger.LotPaid
	if err := checkChain(v, []api.Lot{lot(0, 40, paid), lot(40, 100, held)}); err != nil {
		t.Errorf("a whole chain is refused: %v", err)
	}
	for name, lots := range map[string][]api.Lot{
		"none":          {},
		"gap":           {lot(0, 40, paid), lot(41, 100, held)},
		"overlap":       {lot(0, 40, paid), lot(39, 100, held)},
		"short":         {lot(0, 40, paid), lot(40, 99, held)},
		"empty lot":     {lot(0, 40, paid), lot(40, 40, held), lot(40, 100, held)},
		"paid too much": {lot(0, 40, paid), lot(40, 100, paid)},
		"other voucher": {{Lot: ledger.Lot{Voucher: suite.Hash{1}, To: 100}}},
	} {
		if err := checkChain(v, lots); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	v.Status, v.Paid = ledger.VoucherRejected, 0
	if err := checkChain(v, nil); err != nil {
		t.Errorf("a rejected voucher has no lots, but %v", err)
	}
}

func TestWorkDirNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := workDir(dir); err != nil {
		t.Errorf("an empty directory is refused: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := workDir(dir); err == nil {
		t.Error("a directory that is not empty is accepted")
	}
	temporary, cleanUp, err := workDir("")
	if err != nil {
		t.Fatal(err)
	}
	if err := cleanUp(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(temporary); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", temporary, err)
	}
}
