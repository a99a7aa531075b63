package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk is the size of the disk that is filled, ballastLeaves what the ballast leaves free at first.
const (
	smallDisk     = "size=192m"
	ballastLeaves = 128 << 10
)

// noSpace is the system's text for a full disk.
var noSpace = syscall.ENOSPC.Error()

// TestDiskFull keeps the data of one validator, and the engine's files of another, on small disks and fills them under load. A node without room
// for its data stops with the cause in its log and, while there is none, refuses to start with the same cause. A node that
// cannot write down its votes votes no more and says why. Both go on when room is made; the others go on meanwhile.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if !isolated(t) {
		return
	}
	w := foundWorld(t, "sm")
	data, engine := filepath.Join(w.nodes[0].Home, "data"), filepath.Join(w.nodes[1].Home, "data", "engine")
	w.mountSmall(data)
	w.mountSmall(engine)
	w.startAll()
	l, stop := w.startLoad(t.Context(), 2, 3)
	l.next(t)

	full := w.fillDisk(data)
	w.awaitStopped(0)
	t.Logf("the leader's disk was full, it stopped: next commit after %v", l.next(t))
	w.start(0)
	w.awaitStopped(0)
	w.makeRoom(full)
	start := time.Now()
	w.start(0)
	w.awaitUp(0)
	w.settle(l)
	t.Logf("with room the node was together with the others %v after its start", time.Since(start))

	full = w.fillDisk(engine)
	w.poll("status says that votes cannot be written down", func() error {
		s, err := w.status(1)
		if err == nil && !strings.Contains(s.Cause, noSpace) {
			err = &unexpected{out: "cause: " + s.Cause}
		}
		return err
	})
	t.Logf("a validator cannot write down its votes: next commit after %v", l.next(t))
	w.makeRoom(full)
	start = time.Now()
	w.settle(l)
	t.Logf("with room it was together with the others after %v", time.Since(start))
	stop()
	w.checkAcked(l)
}

// mountSmall puts a folder on a disk of its own.
func (w *world) mountSmall(dir string) {
	w.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, smallDisk); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			w.t.Error(err)
		}
	})
}

// fillDisk fills the disk below dir but for a little, and returns the file that takes the room.
func (w *world) fillDisk(dir string) string {
	w.t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	chunk := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		w.t.Fatal(err)
	}
	at, err := f.Seek(0, 1)
	if err == nil {
		err = f.Truncate(at - ballastLeaves)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// makeRoom removes what takes the room.
func (w *world) makeRoom(path string) {
	w.t.Helper()
	if err := os.Remove(path); err != nil {
		w.t.Fatal(err)
	}
}

// awaitStopped waits until node i has ended by itself, and checks that its log says that the disk is full.
func (w *world) awaitStopped(i int) {
	w.t.Helper()
	select {
	case <-w.processes[i].done:
	case <-time.After(patience):
		w.t.Fatalf("%s goes on without a disk", w.nodes[i].Name)
	}
	w.kill(i) // closes what is left of it
	path := filepath.Join(w.dir, w.nodes[i].Name+".log")
	log, err := os.ReadFile(path)
	if err == nil {
		err = os.Rename(path, path+".old")
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, noSpace) {
			w.t.Logf("%s has ended and said: %s", w.nodes[i].Name, strings.TrimSpace(line))
			return
		}
	}
	w.t.Errorf("%s has ended and did not say that the disk is full:\n%s", w.nodes[i].Name, tail(log, 20))
}
