package e2e

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aval/api"
)

// honestMax is how long an honest transaction may take to be committed while somebody attacks.
const honestMax = 5 * time.Second

// flood holds connections of strangers open.
type flood struct {
	t      *testing.T
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	// opened counts connections that came about, ended those that the node ended; they are opened again.
	opened, ended atomic.Int64
}

// strangers opens count connections to an address and keeps them: manner does what each stranger does with its own, until it ends.
func (f *flood) strangers(count int, address string, manner func(ctx context.Context, i int, conn net.Conn)) {
	for i := range count {
		f.wg.Go(func() {
			for f.ctx.Err() == nil {
				f.one(address, i, manner)
				select {
				case <-f.ctx.Done():
				case <-time.After(time.Second): // strangers come again, each once a second
				}
			}
		})
	}
}

func (f *flood) one(address string, i int, manner func(ctx context.Context, i int, conn net.Conn)) {
	conn, err := new(net.Dialer).DialContext(f.ctx, "tcp", address)
	if err != nil {
		return // the node's backlog is full; the stranger tries again
	}
	f.opened.Add(1)
	stop := context.AfterFunc(f.ctx, func() { _ = conn.Close() }) // whatever became of it
	defer stop()
	manner(f.ctx, i, conn)
	if f.ctx.Err() == nil {
		f.ended.Add(1)
	}
	_ = conn.Close() // likewise
}

// slowly writes a text one byte at a time, and then reads what comes until the connection ends.
func slowly(ctx context.Context, conn net.Conn, pause time.Duration, text string) {
	for i := range text {
		if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
	_, _ = io.Copy(io.Discard, conn) // until it ends
}

// badCaller is what strangers do at the HTTP port: nothing, a header byte by byte, half a body, a long answer that they do not read, junk.
func badCaller(ctx context.Context, i int, conn net.Conn) {
	switch i % 5 {
	case 0:
		slowly(ctx, conn, 0, "")
	case 1:
		slowly(ctx, conn, 500*time.Millisecond, "GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Slow: "+fmt.Sprintf("%0200d", 0))
	case 2:
		slowly(ctx, conn, 0, "POST "+api.PathTransactions+" HTTP/1.1\r\nHost: x\r\nContent-Type: "+api.MediaCBOR+"\r\nContent-Length: 90000\r\n\r\nhalf")
	case 3:
		_, _ = io.WriteString(conn, "GET "+api.PathOpenAPI+" HTTP/1.1\r\nHost: x\r\n\r\n") // it may have ended
		<-ctx.Done()
	default:
		slowly(ctx, conn, 0, "\x16\x03\x01\xff\xff\x00\x00\x00")
	}
}

// badPeer is what strangers do at the port for links: nothing, half a greeting of TLS, a whole one and then nothing, or a frame that is
// announced as far too long, or a greeting that claims to be long.
func badPeer(ctx context.Context, i int, conn net.Conn) {
	if i%50 == 0 { // the work of a handshake is shared between stranger and node, and the strangers are on this machine too
		c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"aval-peer"}, MinVersion: tls.VersionTLS13})
		if c.HandshakeContext(ctx) != nil {
			return
		}
		head := binary.BigEndian.AppendUint16([]byte{1, 0, 1}, 0xffff)
		if i%100 == 0 {
			head = binary.BigEndian.AppendUint32(make([]byte, 4), 1<<31)
		}
		_, _ = c.Write(head) // it may have ended
		_, _ = io.Copy(io.Discard, c)
		return
	}
	if i%2 == 0 {
		slowly(ctx, conn, 0, "")
		return
	}
	slowly(ctx, conn, 500*time.Millisecond, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"+fmt.Sprintf("%0200d", 0))
}

// honest submits transactions one after another through node i and returns how long the slowest took.
func (w *world) honest(i, count int) (slowest time.Duration) {
	w.t.Helper()
	c := w.client(i)
	for range count {
		start := time.Now()
		w.mustOpenScope(c)
		slowest = max(slowest, time.Since(start))
	}
	return slowest
}

// TestFloodOfConnections holds ten thousand connections of strangers open at the HTTP and peer ports of one validator, slow, silent and
// malformed ones among them, and comes again whenever one is ended. Honest transactions through the same validator commit.
func TestFloodOfConnections(t *testing.T) {
	w := newWorld(t, "intl")
	calm := w.honest(0, 3)
	each := 5000
	if *faults {
		each = 9000 // the system lets a process have 20,000 files
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := &flood{t: t, ctx: ctx, cancel: cancel}
	defer func() { f.cancel(); f.wg.Wait() }()
	f.strangers(each, w.nodes[0].HTTP, badCaller)
	f.strangers(each, w.nodes[0].Link, badPeer)
	w.poll("the strangers are there", func() error {
		if n := f.opened.Load(); n < int64(2*each) {
			return fmt.Errorf("%d of %d", n, 2*each)
		}
		return nil
	})
	flooded := w.honest(0, 5)
	t.Logf("%d connections opened, %d ended by the node; slowest honest commit %v, before the flood %v", f.opened.Load(), f.ended.Load(), flooded, calm)
	if *faults && flooded > honestMax {
		t.Errorf("an honest transaction took %v, at most %v are promised", flooded, honestMax)
	}
	w.kill(3) // a link that is lost is made again under the flood: the validator is needed for the quorum
	w.start(3)
	w.kill(2)
	w.honest(1, 1)
	s, err := w.status(0)
	if err != nil || len(s.Peers) == 0 {
		t.Errorf("status under the flood: %+v, %v", s, err)
	}
}
