package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// openDebug serves runtime profiles if the configuration names an address, which must be of loopback.
func (n *Node) openDebug() error {
	if n.cfg.DebugListen == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(n.ctx, "tcp", n.cfg.DebugListen)
	if err != nil {
		return fmt.Errorf("node: profiles: %w", err)
	}
	if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("node: profiles: %s is not an address of loopback", l.Addr()), l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	n.debug = l.Addr().String()
	n.task(func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = s.Close() })() // what it served is of no use any more
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}
