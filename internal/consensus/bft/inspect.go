package bft

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"

	"aval/ledger"
	"aval/suite"
)

// Inspection is what the folder of an engine that is not running holds.
type Inspection struct {
	// Fresh says that it holds nothing yet.
	Fresh bool `json:"fresh"`
	// Voted is the newest height that this validator voted for, 0 if none.
	Voted ledger.Height `json:"voted"`
	// Observe says why the validator will observe before it votes again; empty if it need not. Until is the height at which that
	// ends, 0 while it is not known.
	Observe string        `json:"observe"`
	Until   ledger.Height `json:"until"`
}

// Inspect looks into the folder of an engine that is not running, beside a ledger whose head has the given epoch and height. It
// changes nothing. An error means that the folder cannot be read, not that what it holds is damaged.
func Inspect(s suite.Suite, dir string, epoch uint64, head ledger.Height) (*Inspection, error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		out := &Inspection{Fresh: true}
		if head > 0 {
			out.Observe = "the record of votes was lost"
		}
		return out, nil
	}
	votes, why, err := inspectGuard(dir)
	if err != nil {
		return nil, err
	}
	out := &Inspection{Voted: votes.Height, Observe: why}
	switch {
	case why == "lost" && head == 0:
		return &Inspection{Fresh: true}, nil
	case why != "":
		out.Observe = "the record of votes is " + why
	case votes.ObserveUntil == math.MaxUint64:
		out.Observe = "it had not finished observing"
	case votes.ObserveUntil != 0:
		out.Observe, out.Until = "it had not finished observing", votes.ObserveUntil
	default:
		out.Observe, err = inspectLog(s, dir, epoch, head, votes)
	}
	return out, err
}

// inspectGuard reads the record of votes; why is "lost" or "damaged" if there is none to trust.
func inspectGuard(dir string) (state guardState, why string, err error) {
	file, err := os.Open(filepath.Join(dir, "votes"))
	if errors.Is(err, os.ErrNotExist) {
		return guardState{}, "lost", nil
	}
	if err != nil {
		return guardState{}, "", fmt.Errorf("bft: open the record of votes: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	found := false
	for slot := range int64(2) {
		if s, ok := readSlot(file, slot); ok && (!found || s.Serial > state.Serial) {
			state, found = s, true
		}
	}
	if !found {
		why = "damaged"
	}
	return state, why, nil
}

// inspectLog reads a copy of the kernel's log, since reading mends its end. It returns why the log cannot be trusted, or nothing.
func inspectLog(s suite.Suite, dir string, epoch uint64, head ledger.Height, votes guardState) (why string, err error) {
	from := journalDir(dir, epoch)
	if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
		if votes.Logged == epoch+1 {
			return "the log was lost", nil
		}
		return "", nil
	}
	temp, err := os.MkdirTemp("", "aval-log-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	to := filepath.Join(temp, "log")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return "", fmt.Errorf("bft: copy the log: %w", err)
	}
	jr, entries, _, err := openJournal(to, &kernelLog{log: slog.New(slog.DiscardHandler), failed: func(string) {}})
	if errors.Is(err, errLogDamaged) {
		return err.Error(), nil
	}
	if err != nil {
		return "", err
	}
	st, err := readLog(s, entries)
	if err == nil {
		err = st.check(head, epoch, votes)
	}
	if err != nil {
		return err.Error(), jr.close()
	}
	return "", jr.close()
}
