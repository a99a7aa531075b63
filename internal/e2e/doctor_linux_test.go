package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"aval/api"
	"aval/internal/config"
	"aval/internal/doctor"
)

// TestDoctorOnASmallDisk puts the data of one validator on a small disk of its own, then makes that full, then read-only.
func TestDoctorOnASmallDisk(t *testing.T) {
	if !isolated(t) {
		return
	}
	w := foundWorld(t, "intl")
	data := filepath.Join(w.nodes[0].Home, config.DataName)
	mount := func(flags uintptr, options string) {
		w.must(syscall.Mount("none", data, "tmpfs", flags, options))
	}
	mount(0, "size=300m,mode=700")
	w.startAll()
	w.mustOpenScope(w.client(0))
	w.names(0, api.CauseDiskNearlyFull, "nearly full: 0.2")
	w.end(0, os.Interrupt)
	home := w.nodes[0].Home
	r, code := w.doctor("--home", home)
	w.finds(r, "disk", doctor.Warn, "disk_nearly_full")
	if code != 0 {
		t.Errorf("a warning ends with %d", code)
	}
	w.must(os.WriteFile(filepath.Join(data, "filler"), make([]byte, 280<<20), 0o600))
	r, code = w.doctor("--home", home)
	w.finds(r, "disk", doctor.Fail, "disk_full")
	if code != 1 {
		t.Errorf("a full disk ends with %d", code)
	}
	mount(syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=300m")
	r, _ = w.doctor("--home", home)
	w.finds(r, "disk", doctor.Fail, "disk_read_only")
	w.finds(r, "stores", doctor.Fail, "they do not open")
	mount(syscall.MS_REMOUNT, "size=300m")
	w.must(os.Remove(filepath.Join(data, "filler")))
	if r, code = w.doctor("--home", home); code != 0 {
		t.Errorf("after room was made it ends with %d: %+v", code, r.Checks)
	}
	w.start(0)
	w.awaitUp(0)
	w.agree(w.mustOpenScope(w.client(1)).Height, 0)
	w.end(0, os.Interrupt)
	w.must(syscall.Unmount(data, 0))
}
