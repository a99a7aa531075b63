package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"aval/api"
)

const (
	// diskEvery is how often the disk is measured.
	diskEvery = 30 * time.Second
	// diskFull is the room below which a store may not be able to write any more.
	diskFull = 64 << 20
	// diskLow is the room below which an operator should act, diskLowShare the share of the file system, as long as it is less
	// than diskPlenty.
	diskLow      = 1 << 30
	diskLowShare = 20
	diskPlenty   = 20 << 30
	// diskSlow is how long a small write may take to reach the disk: a block waits for several.
	diskSlow = 500 * time.Millisecond
)

// disk is what was last measured of the data directory's file system. Its methods are safe for concurrent use.
type disk struct {
	mu   sync.Mutex
	last api.Disk
	// slow counts the measurements in a row whose write was slow; begun is when one began that has not ended.
	slow  int
	begun time.Time
}

// diskLoop measures the disk every now and then. It has a goroutine of its own: a disk that hangs holds up nothing else.
func (n *Node) diskLoop(ctx context.Context) error {
	timer := n.cfg.Clock.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		}
		n.disk.mu.Lock()
		n.disk.begun = time.Now()
		n.disk.mu.Unlock()
		got := MeasureDisk(n.cfg.DataDir)
		n.disk.mu.Lock()
		n.disk.last, n.disk.begun = got, time.Time{}
		if n.disk.slow++; got.SyncMs < uint32(diskSlow.Milliseconds()) {
			n.disk.slow = 0
		}
		n.disk.mu.Unlock()
		timer.Reset(diskEvery)
	}
}

// measured returns what was last measured, and whether the disk is slow: twice in a row, so that a busy moment does not count.
func (d *disk) measured() (last api.Disk, slow bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last, slow = d.last, d.slow >= 2
	if !d.begun.IsZero() && time.Since(d.begun) > 4*diskSlow {
		last.SyncMs, slow = uint32(time.Since(d.begun).Milliseconds()), true
	}
	return last, slow
}

// MeasureDisk measures the file system of a data directory, and how long a small write takes to reach it.
func MeasureDisk(dir string) (out api.Disk) {
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // files come and go while we look
		}
		if info, err := d.Info(); err == nil {
			out.DataBytes += uint64(info.Size())
		}
		return nil
	})
	var st syscall.Statfs_t
	if err == nil {
		err = syscall.Statfs(dir, &st)
	}
	if err == nil {
		out.FreeBytes, out.TotalBytes = st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize)
		out.SyncMs, err = tryWrite(dir)
	}
	if err != nil {
		out.Error = err.Error()
	}
	return out
}

// tryWrite writes a few bytes durably and removes them. It returns how long that took, at least 1 ms.
func tryWrite(dir string) (uint32, error) {
	start := time.Now()
	f, err := os.CreateTemp(dir, ".disk-check-*")
	if err != nil {
		return 0, err
	}
	_, err = f.Write(make([]byte, 4096))
	err = errors.Join(err, f.Sync(), f.Close())
	took := time.Since(start)
	return uint32(max(1, took.Milliseconds())), errors.Join(err, os.Remove(f.Name()))
}

// DiskCauses says what is wrong with a file system as measured; slow tells that it was so more than once.
func DiskCauses(d api.Disk, slow bool) []api.Cause {
	const gib = 1 << 30
	free := fmt.Sprintf("%.2f GiB free of %.2f", float64(d.FreeBytes)/gib, float64(d.TotalBytes)/gib)
	var out []api.Cause
	switch {
	case d.Error != "" && isReadOnly(d.Error):
		out = append(out, api.Cause{Code: api.CauseDiskReadOnly, Fails: true, Text: "the data directory cannot be written: " + d.Error,
			Next: "look at the kernel's log for errors of the disk, mount it writable again, check who owns the directory, then start the node again"})
	case d.Error != "" && isFull(d.Error), d.TotalBytes > 0 && d.FreeBytes < diskFull:
		out = append(out, api.Cause{Code: api.CauseDiskFull, Fails: true, Text: "the disk of the data directory is full: " + free,
			Next: "make room or enlarge the file system, then start the node again if it stopped; never delete files of the data directory by hand"})
	case d.Error != "":
		out = append(out, api.Cause{Code: api.CauseDiskReadOnly, Fails: true, Text: "the data directory cannot be written: " + d.Error,
			Next: "check that the directory exists and belongs to the user that runs the node"})
	case d.TotalBytes > 0 && (d.FreeBytes < diskLow || d.FreeBytes < min(d.TotalBytes/diskLowShare, diskPlenty)):
		out = append(out, api.Cause{Code: api.CauseDiskNearlyFull, Text: "the disk of the data directory is nearly full: " + free,
			Next: "make room or enlarge the file system before it is full"})
	}
	if slow {
		out = append(out, api.Cause{Code: api.CauseDiskSlow, Text: fmt.Sprintf("the disk is slow: a write of 4 KiB took %d ms to reach it", d.SyncMs),
			Next: "look for what else writes to this disk; a validator wants a local SSD"})
	}
	return out
}

func isReadOnly(text string) bool {
	return has(text, syscall.EROFS) || has(text, syscall.EACCES) || has(text, syscall.EPERM)
}

func isFull(text string) bool { return has(text, syscall.ENOSPC) || has(text, syscall.EDQUOT) }
