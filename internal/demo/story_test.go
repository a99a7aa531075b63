package demo

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"aval/internal/node"
	"aval/ledger"
	"aval/suite"
)

// TestStoryOnOneNode plays the whole case, planted cases and checks included, on one node that orders alone.
func TestStoryOnOneNode(t *testing.T) {
	for _, id := range []suite.ID{suite.SM, suite.Intl} {
		s, err := suite.ByID(id)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(s.Name(), func(t *testing.T) { playAlone(t, s) })
	}
}

func playAlone(t *testing.T, s suite.Suite) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	n, err := newNetwork(plan{name: "story", suite: s, clock: ledger.ClockLab, start: nine(dayOpen), validators: 1, calendar: demoCalendar(), cast: demoCast})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.parties[ruida].addSecond(s); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	running, err := node.Start(ctx, node.Config{Name: "alone", Role: node.RoleDev, Genesis: n.genesis, Suite: s, Self: n.founded.Validators[0],
		DataDir: t.TempDir(), HTTPListener: l, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	d, err := newDesk(n, []string{"http://" + running.HTTPAddr()})
	if err != nil {
		t.Fatal(err)
	}
	var story bytes.Buffer
	p := &play{desk: d, out: &reporter{story: &story}, check: true, result: &Result{Network: n.id, Dir: t.TempDir()}}
	if err := p.perform(ctx); err != nil {
		t.Fatalf("%v\n%s", err, story.String())
	}
	p.out.result(p.result)
	t.Log("\n" + story.String())
	if err := p.result.verdict(); err != nil {
		t.Error(err)
	}
}
