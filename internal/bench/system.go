package bench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tickLength is the unit of processor time in /proc (proc(5): sysconf(_SC_CLK_TCK) is 100 on every Linux port).
const tickLength = 10 * time.Millisecond

// processCPU returns the user and system time of a process and the children it waited for so far (proc(5), fields 14 to 17 of stat).
func processCPU(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 15 {
		return 0, fmt.Errorf("/proc/%d/stat is short", pid)
	}
	var ticks int64
	for _, f := range fields[11:15] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tickLength, nil
}

// processRSS returns the resident memory of a process in bytes.
func processRSS(pid int) (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm is short", pid)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// ownCPU returns the user and system time of this process so far.
func ownCPU() (time.Duration, error) { return usage(syscall.RUSAGE_SELF) }

// threadCPU returns the user and system time of this thread so far; the goroutine must be locked to it.
func threadCPU() (time.Duration, error) { return usage(rusageThread) }

// rusageThread is RUSAGE_THREAD (getrusage(2)).
const rusageThread = 1

func usage(who int) (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// diskUsage returns what the files below dir take on the disk, in bytes, as du does. Files come and go while it looks.
func diskUsage(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += st.Blocks * 512 // stat(2): in units of 512 bytes whatever the file system's are
		}
		return nil
	})
	return sum, err
}

// machine says where figures were measured.
type machine struct {
	CPU         string `json:"cpu"`
	Processors  int    `json:"processors"`
	MemoryMB    int64  `json:"memory_mb"`
	System      string `json:"system"`
	Go          string `json:"go"`
	LoadAverage string `json:"load_average"`
}

func describeMachine() machine {
	m := machine{CPU: "unknown", Processors: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if v := procField("/proc/cpuinfo", "model name"); v != "" {
		m.CPU = v
	}
	if kb, err := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.MemoryMB = kb >> 10
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System += " " + strings.TrimSpace(string(b))
	}
	m.LoadAverage = loadAverage()
	return m
}

// loadAverage returns the load average over 1, 5 and 15 minutes, empty if the system does not tell.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if fields := strings.Fields(string(b)); err == nil && len(fields) >= 3 {
		return strings.Join(fields[:3], " ")
	}
	return ""
}

// procField returns the first value of a field in a file of /proc, empty if there is none.
func procField(path, field string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
