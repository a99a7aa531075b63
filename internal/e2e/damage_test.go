package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aval/api"
	"aval/ledger"
)

// TestDamagedFiles kills a validator under load, and starts it again and again from what it left, each time with bits flipped in one of its
// files or with the file cut short: every kind of file in turn. It must repair what is damaged and go on with the others, or
// refuse and say why. Whatever it answers is what the others have.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "intl")
	random := w.random("damage")
	l, stop := w.startLoad(t.Context(), 0, 1, 2)
	l.next(t)
	l.within(2 * time.Second)
	w.kill(3) // when it is opened again, tables are written
	w.start(3)
	w.awaitUp(3)
	w.settle(l)
	w.kill(3)
	stop()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.CopyFS(image, os.DirFS(w.nodes[3].Home)); err != nil {
		t.Fatal(err)
	}
	kinds := filesByKind(t, image)
	rounds := 1
	if *faults {
		rounds = 50
	}
	outcomes := map[string]int{}
	for range rounds {
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			file := kinds[kind][random.IntN(len(kinds[kind]))]
			outcome := w.damaged(image, file, random)
			outcomes[outcome]++
			if outcome == "refused" && strings.HasPrefix(file, "data") {
				w.refetches(3)
			}
		}
	}
	t.Logf("%d kinds of files: %v; %v", len(kinds), slices.Sorted(maps.Keys(kinds)), outcomes)
}

// filesByKind returns the files of a home that are not empty, by what they are.
func filesByKind(t *testing.T, home string) map[string][]string {
	t.Helper()
	kinds := map[string][]string{}
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() == 0 {
			return err
		}
		name, err := filepath.Rel(home, path)
		if err != nil {
			return err
		}
		kind := filepath.Join(filepath.Dir(name), strings.TrimRight(strings.TrimLeft(filepath.Base(name), "0123456789"), "0123456789"))
		kinds[kind] = append(kinds[kind], name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

// damaged starts validator 3 from the image with one file damaged and returns what became of it.
func (w *world) damaged(image, file string, random *rand.Rand) string {
	w.t.Helper()
	home := w.nodes[3].Home
	if err := errors.Join(os.RemoveAll(home), os.CopyFS(home, os.DirFS(image))); err != nil {
		w.t.Fatal(err)
	}
	did := file + ": " + w.spoil(filepath.Join(home, file), random)
	log := filepath.Join(w.dir, w.nodes[3].Name+".log")
	if err := os.Remove(log); err != nil {
		w.t.Fatal(err)
	}
	top := w.mustOpenScope(w.client(0)).Height
	w.start(3)
	defer w.kill(3)
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	why := errors.New("it does not answer")
	for {
		select {
		case <-w.processes[3].done:
			return w.refused(did, log)
		case <-deadline:
			if file == "config.toml" {
				w.t.Logf("%s: believed; %v", did, why)
				return "believed"
			}
			w.t.Errorf("%s: it neither ends nor joins the others: %v", did, why)
			return "failed"
		case <-tick.C:
		}
		if why = w.joined(3, top); why == nil {
			w.t.Logf("%s: it goes on", did)
			return "goes on"
		}
	}
}

// refetches does what an operator is told to do about a damaged store: takes both stores away and leaves the engine's files. The node fetches
// everything from the others, and observes before it votes.
func (w *world) refetches(i int) {
	w.t.Helper()
	data := filepath.Join(w.nodes[i].Home, "data")
	if err := errors.Join(os.RemoveAll(filepath.Join(data, "blocks")), os.RemoveAll(filepath.Join(data, "state"))); err != nil {
		w.t.Fatal(err)
	}
	top := w.mustOpenScope(w.client(0)).Height
	w.start(i)
	w.awaitUp(i)
	w.poll("it has fetched everything again", func() error { return w.joined(i, top) })
	w.kill(i)
}

// joined returns nil if node i is as far as the others, and has no block that they do not have.
func (w *world) joined(i int, top ledger.Height) error {
	s, err := w.status(i)
	if err != nil {
		return err
	}
	if s.Heights.Executed < top {
		return fmt.Errorf("it is at %+v: %s", s.Heights, s.Cause)
	}
	c, truth := w.client(i), w.client(0)
	for h := ledger.Height(1); h <= top; h++ {
		mine, err := c.Block(w.t.Context(), h)
		var problem *api.Problem
		if errors.As(err, &problem) && problem.Status == http.StatusInternalServerError {
			continue // it cannot read the block any more, and says so
		}
		theirs, terr := truth.Block(w.t.Context(), h)
		if err := errors.Join(err, terr); err != nil {
			return err
		}
		if mine.Hash != theirs.Hash || mine.Header.Hash(w.net.Suite) != theirs.Hash {
			w.t.Errorf("%s has another block at height %d", w.nodes[i].Name, h)
		}
	}
	return nil
}

// refused reports that the node has ended, with what it said last. That must be an error that names what is wrong.
func (w *world) refused(did, log string) string {
	w.t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if cause, ok := strings.CutPrefix(line, "Error: "); ok {
			w.t.Logf("%s: refused: %s", did, strings.TrimSpace(cause))
			return "refused"
		}
		if strings.HasPrefix(line, "panic: kv: ") {
			w.t.Logf("%s: stopped: %s", did, strings.TrimSpace(line))
			return "stopped"
		}
	}
	w.t.Errorf("%s: it ended and did not say why:\n%s", did, tail(text, 40))
	return "failed"
}

// spoil flips one to eight bits of a file, or cuts it short, and says what it did.
func (w *world) spoil(path string, random *rand.Rand) string {
	w.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	did := ""
	if random.IntN(3) == 0 {
		b = b[:random.IntN(len(b))]
		did = fmt.Sprintf("cut to %d bytes", len(b))
	} else {
		for range 1 + random.IntN(8) {
			at, bit := random.IntN(len(b)), random.IntN(8)
			b[at] ^= 1 << bit
			did += fmt.Sprintf("bit %d of byte %d flipped ", bit, at)
		}
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return did
}
