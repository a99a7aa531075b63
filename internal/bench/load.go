package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// loadProcess is one run of the load process.
type loadProcess struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	out    io.ReadCloser
	exited chan error
}

// stopGrace is how long the load process may take to end once it was told to, beside the patience of its order.
const stopGrace = 10 * time.Second

// load runs the load process on order and returns what came of it. on is called with every report as it arrives. If ctx ends, the
// process stops sending, waits for what is under way and still reports.
func (n *network) load(ctx context.Context, order *Order, on func(*Report)) (*Tally, error) {
	input, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	p := &loadProcess{cmd: exec.Command(n.fleet.Program(), "bench", "load"), exited: make(chan error, 1)} //nolint:gosec,noctx // it is this very program, and is stopped in order
	p.cmd.Stdin, p.cmd.Stderr = bytes.NewReader(input), &p.stderr
	if p.out, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err := n.fleet.Launch(p.cmd, n.loadCPUs...); err != nil {
		return nil, fmt.Errorf("start the load process: %w", err)
	}
	// It ends by itself; these are for when it does not.
	defer context.AfterFunc(ctx, func() { _ = p.cmd.Process.Signal(syscall.SIGTERM) })()
	limit := time.Duration(order.WarmUpMs+order.CountMs+tries*order.PatienceMs)*time.Millisecond + stopGrace
	defer time.AfterFunc(limit, func() { _ = p.cmd.Process.Kill() }).Stop()
	result, err := p.read(on)
	werr := p.cmd.Wait()
	if werr != nil && result == nil && ctx.Err() != nil {
		return nil, ctx.Err() // it was told to stop before it could listen, and had sent nothing yet
	}
	if werr != nil {
		err = errors.Join(err, fmt.Errorf("the load process failed: %w: %s", werr, bytes.TrimSpace(p.stderr.Bytes())))
	}
	if err == nil && result == nil {
		err = errors.New("the load process ended without a result")
	}
	return result, err
}

// read passes reports on until the output ends and returns the result.
func (p *loadProcess) read(on func(*Report)) (*Tally, error) {
	var result *Tally
	for d := json.NewDecoder(p.out); ; {
		var r Report
		err := d.Decode(&r)
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			_, _ = io.Copy(io.Discard, p.out) // so that the process can end
			return nil, fmt.Errorf("a report of the load process does not read: %w", err)
		}
		on(&r)
		if r.Event == "result" {
			result = &r.Tally
		}
	}
}
