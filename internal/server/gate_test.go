package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"aval/api"
	"aval/internal/server"
)

// dialed is a connection to a node, with what was read ahead of it.
type dialed struct {
	net.Conn
	r *bufio.Reader
}

func (n *node) dial() *dialed {
	n.Helper()
	conn, err := new(net.Dialer).DialContext(n.Context(), "tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		n.Fatal(err)
	}
	return &dialed{conn, bufio.NewReader(conn)}
}

// ask sends a request and reads the answer.
func (d *dialed) ask(request string) error {
	if _, err := io.WriteString(d, request); err != nil {
		return err
	}
	return d.answer()
}

func (d *dialed) answer() error {
	response, err := http.ReadResponse(d.r, nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("status %d", response.StatusCode))
	}
	return errors.Join(err, response.Body.Close())
}

// thrownOut waits until the node ends the connection.
func (d *dialed) thrownOut() bool {
	_, err := d.r.ReadByte()
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

const health = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

// TestWhoAsksNothingMakesRoom fills all places. Strangers that have not asked go before guests that have, the oldest first; who waits for
// an answer stays.
func TestWhoAsksNothingMakesRoom(t *testing.T) {
	n := start(t, options{server: func(c *server.Config) { c.ConnectionsMax = 3 }})
	guest, waiting, stranger := n.dial(), n.dial(), n.dial()
	if err := guest.ask(health); err != nil {
		t.Fatal(err)
	}
	n.held.Store(true)
	tx := n.n.Scope(t, "/a")
	if _, err := fmt.Fprintf(waiting, "POST %s?timeout_ms=30000 HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		api.PathTransactions, api.MediaCBOR, len(tx), tx); err != nil {
		t.Fatal(err)
	}
	n.awaitPending(1)
	second := n.dial()
	if err := second.ask(health); err != nil || !stranger.thrownOut() {
		t.Fatalf("with all places taken: %v", err)
	}
	if err := guest.ask(health); err != nil {
		t.Errorf("a guest went before a stranger: %v", err)
	}
	third := n.dial() // nobody is a stranger now: the guest that asked longest ago goes
	if err := third.ask(health); err != nil || !second.thrownOut() {
		t.Errorf("with guests in all places: %v", err)
	}
	n.held.Store(false)
	if err := waiting.answer(); err != nil {
		t.Errorf("who waited for an answer: %v", err)
	}
}

// awaitPending waits until so many transactions are under way.
func (n *node) awaitPending(want int) {
	n.Helper()
	ctx, cancel := context.WithTimeout(n.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n.intake.Pending() != want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.Fatalf("%d transactions are under way, want %d", n.intake.Pending(), want)
		}
	}
}

// TestBodiesThatDoNotEndTakeLittle sends most of a long body on many connections: together they take what they may, the oldest go, and a
// request that comes whole is answered.
func TestBodiesThatDoNotEndTakeLittle(t *testing.T) {
	n := start(t, options{server: func(c *server.Config) { c.BodiesBytesMax = 100_000 }})
	var slow []*dialed
	for range 4 {
		d := n.dial()
		if _, err := fmt.Fprintf(d, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 90000\r\n\r\n%s",
			api.PathTransactions, api.MediaCBOR, strings.Repeat("x", 60_000)); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, d)
		if len(slow) > 1 && !slow[len(slow)-2].thrownOut() {
			t.Fatal("the body before was not ended")
		}
	}
	if got := n.submit(n.n.Scope(t, "/a"), ""); got.Receipt == nil {
		t.Errorf("a request that came whole: %+v", got)
	}
	last := slow[len(slow)-1]
	if _, err := io.WriteString(last, strings.Repeat("x", 30_000)); err != nil {
		t.Fatal(err)
	}
	if err := last.answer(); err == nil || err.Error() != "status 413" { // whole, and too long for a transaction
		t.Errorf("the body that stayed: %v", err)
	}
}
