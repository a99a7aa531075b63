package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"aval/internal/chain"
)

// controlFile says, to whoever may read the data directory, how to ask the running node to do something for its operator.
const controlFile = "control.json"

// The operations of a running node.
const (
	controlSnapshot = "/snapshot"
	controlBackup   = "/backup"
	controlPrune    = "/prune"
	// controlBytesMax bounds a request and an answer.
	controlBytesMax = 64 << 10
)

// ErrNotRunning reports that no node runs on a data directory, or none that can be asked.
var ErrNotRunning = errors.New("node: not running")

// controlAddress is what stands in the control file.
type controlAddress struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

// controlRequest is a request of any operation; an operation looks at its own fields.
type controlRequest struct {
	// Dir is where a backup is written, an absolute path.
	Dir string `json:"dir"`
	// Keep is how many heights a prune keeps.
	Keep uint64 `json:"keep,string"`
}

// controlAnswer is what was done, or why not.
type controlAnswer struct {
	Error    string        `json:"error"`
	Snapshot *Snapshot     `json:"snapshot"`
	Backup   *BackupData   `json:"backup"`
	Pruned   *chain.Pruned `json:"pruned"`
}

// control serves the operator on loopback. The token in the control file, which only the node's user may read, opens it.
type control struct {
	server   *http.Server
	listener net.Listener
	token    string
	path     string
}

// openControl starts to serve the operator.
func (n *Node) openControl() error {
	if !n.cfg.Control {
		return nil
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("node: control: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(n.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("node: control: %w", err)
	}
	c := &control{listener: listener, token: hex.EncodeToString(secret), path: n.cfg.path(controlFile)}
	b, err := json.Marshal(controlAddress{listener.Addr().String(), c.token})
	if err == nil {
		err = os.WriteFile(c.path+".part", b, 0o600)
	}
	if err == nil {
		err = os.Rename(c.path+".part", c.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("node: control: %w", err), listener.Close())
	}
	mux := http.NewServeMux()
	for path, do := range map[string]func(context.Context, *controlRequest) (*controlAnswer, error){
		controlSnapshot: func(ctx context.Context, _ *controlRequest) (*controlAnswer, error) {
			s, err := n.CreateSnapshot(ctx)
			return &controlAnswer{Snapshot: s}, err
		},
		controlBackup: func(ctx context.Context, r *controlRequest) (*controlAnswer, error) {
			b, err := n.backup(ctx, r.Dir)
			return &controlAnswer{Backup: b}, err
		},
		controlPrune: func(ctx context.Context, r *controlRequest) (*controlAnswer, error) {
			p, err := n.Prune(ctx, r.Keep)
			return &controlAnswer{Pruned: p}, err
		},
	} {
		mux.HandleFunc("POST "+path, c.handle(do))
	}
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10,
		BaseContext: func(net.Listener) context.Context { return n.ctx }}
	n.control = c
	n.task(func(context.Context) error {
		if err := c.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("node: control: %w", err)
		}
		return nil
	})
	return nil
}

// close ends the service; it does not wait for what is under way, which ends with the node.
func (c *control) close() error {
	if c == nil {
		return nil
	}
	err := os.Remove(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, c.server.Close())
}

func (c *control) handle(do func(context.Context, *controlRequest) (*controlAnswer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+c.token)) != 1 {
			http.Error(w, "not the operator", http.StatusUnauthorized)
			return
		}
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, controlBytesMax))
		var request *controlRequest
		if err == nil {
			request, err = decodeControl[controlRequest](b)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer, err := do(r.Context(), request)
		if err != nil {
			answer = &controlAnswer{Error: err.Error()}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			return // the operator is gone
		}
	}
}

// ask has the node that runs on a data directory do something. It returns ErrNotRunning if there is none.
func ask(ctx context.Context, dataDir, path string, request controlRequest) (*controlAnswer, error) {
	b, err := os.ReadFile(Config{DataDir: dataDir}.controlPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	}
	var at *controlAddress
	if err == nil {
		at, err = decodeControl[controlAddress](b)
	}
	if err != nil {
		return nil, fmt.Errorf("node: control: %w", err)
	}
	body, err := json.Marshal(&request)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+at.Address+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("node: control: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+at.Token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, ErrNotRunning // what it left is of before a crash
	}
	defer func() { _ = response.Body.Close() }() // read only
	if response.StatusCode == http.StatusUnauthorized {
		return nil, ErrNotRunning // another program has the port now
	}
	b, err = io.ReadAll(io.LimitReader(response.Body, controlBytesMax))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("node: control: %s: %s", response.Status, bytes.TrimSpace(b))
	}
	var answer *controlAnswer
	if err == nil {
		answer, err = decodeControl[controlAnswer](b)
	}
	if err == nil && answer.Error != "" {
		err = errors.New(answer.Error)
	}
	return answer, err
}

// decodeControl strictly decodes what node and operator say to each other.
func decodeControl[T controlAddress | controlRequest | controlAnswer](b []byte) (*T, error) {
	if len(b) > controlBytesMax {
		return nil, fmt.Errorf("node: control: %d bytes", len(b))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	out := new(T)
	if err := d.Decode(out); err != nil {
		return nil, fmt.Errorf("node: control: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("node: control: something follows the object")
	}
	return out, nil
}

func (c Config) controlPath() string { return c.path(controlFile) }

// AskSnapshot has the node that runs on cfg's data directory make a snapshot, or makes it here if none runs.
func AskSnapshot(ctx context.Context, cfg Config) (out *Snapshot, err error) {
	answer, err := ask(ctx, cfg.DataDir, controlSnapshot, controlRequest{})
	if errors.Is(err, ErrNotRunning) {
		err = Offline(ctx, cfg, func(n *Node) error {
			out, err = n.CreateSnapshot(ctx)
			return err
		})
		return out, err
	}
	if err != nil {
		return nil, err
	}
	return answer.Snapshot, nil
}

// AskPrune has the node that runs on cfg's data directory drop old blocks, or does it here if none runs.
func AskPrune(ctx context.Context, cfg Config, keep uint64) (out *chain.Pruned, err error) {
	answer, err := ask(ctx, cfg.DataDir, controlPrune, controlRequest{Keep: keep})
	if errors.Is(err, ErrNotRunning) {
		err = Offline(ctx, cfg, func(n *Node) error {
			out, err = n.Prune(ctx, keep)
			return err
		})
		return out, err
	}
	if err != nil {
		return nil, err
	}
	return answer.Pruned, nil
}
