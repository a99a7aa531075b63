package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"aval/api"
	"aval/codec"
	"aval/internal/chain/chaintest"
	"aval/internal/server"
	"aval/ledger"
)

// TestRefusals shows what a node answers to requests that it does not take. One command is one request:
//
//	post [type=T] [zeros=N | tx=forged|foreign|late] [repeat=N] [query=Q]
//	                           a submission whose body is the input; zeros: N zero bytes; tx: a whole transaction, with
//	                           something wrong; repeat: the input N times
//	raw [fill=N]               the input's lines on a connection of their own, then N more bytes, then silence
//
// An impatient node answers "raw", so that silence has an end soon.
func TestRefusals(t *testing.T) {
	n := start(t, options{})
	impatient := start(t, options{server: func(c *server.Config) {
		c.HeaderTimeout, c.RequestTimeout, c.IdleTimeout = 500*time.Millisecond, time.Second, 300*time.Millisecond
	}})
	wrong := n.wrong(t)
	datadriven.RunTest(t, "testdata/refusals.txt", func(t *testing.T, d *datadriven.TestData) string {
		var fill, repeat int
		d.MaybeScanArgs(t, "fill", &fill)
		d.MaybeScanArgs(t, "repeat", &repeat)
		switch d.Cmd {
		case "raw":
			return impatient.raw(d.Input, fill)
		case "post":
			return n.post(t, d, wrong, max(1, repeat))
		}
		d.Fatalf(t, "unknown command %q", d.Cmd)
		return ""
	})
	for _, n := range []*node{n, impatient} {
		if p, _ := n.chain.Progress(); p.Committed != 0 || n.intake.Pending() != 0 {
			t.Errorf("refusals have left %d pending and the height at %d", n.intake.Pending(), p.Committed)
		}
	}
}

// wrong returns transactions with something wrong, by name.
func (n *node) wrong(t *testing.T) map[string][]byte {
	other := chaintest.New(t, chaintest.Options{Name: " other"})
	forged := n.n.NewTx(n.n.OpenScope("/a"))
	n.n.Sign(t, forged, "authority.a")
	forged.Sigs[0].Sig[9] ^= 1
	late := n.n.NewTx(n.n.OpenScope("/a"))
	late.Tx.ValidUntil = n.n.Now() - 1
	return map[string][]byte{"forged": codec.MustMarshal(forged), "foreign": other.Scope(t, "/a"), "late": n.n.Sign(t, late, "authority.a")}
}

func (n *node) post(t *testing.T, d *datadriven.TestData, wrong map[string][]byte, repeat int) string {
	var zeros int
	var tx, query string
	contentType := api.MediaJSON
	d.MaybeScanArgs(t, "type", &contentType)
	d.MaybeScanArgs(t, "zeros", &zeros)
	d.MaybeScanArgs(t, "tx", &tx)
	d.MaybeScanArgs(t, "query", &query)
	body := []byte(strings.Repeat(d.Input, repeat))
	if zeros > 0 {
		body = make([]byte, zeros)
	}
	if tx != "" {
		body = wrong[tx]
		if body == nil {
			d.Fatalf(t, "no transaction %q", tx)
		}
	}
	a := n.do(http.MethodPost, api.PathTransactions+query, contentType, bytes.NewReader(body))
	return describe(a.status, a.header, a.body)
}

// raw sends lines, then filling, and tells what comes back until the server ends the connection, which it must.
func (n *node) raw(input string, fill int) string {
	n.Helper()
	conn, err := new(net.Dialer).DialContext(n.Context(), "tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		n.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		n.Fatal(err)
	}
	request := strings.ReplaceAll(strings.ReplaceAll(input, "\n", "\r\n"), "<end>", "\r\n") + strings.Repeat("x", fill)
	// The server may end the connection before it has read all; what it said is still there.
	_, sent := io.WriteString(conn, request)
	b, err := io.ReadAll(conn)
	if len(b) == 0 && err != nil && sent == nil {
		return "the server keeps the connection open: " + err.Error()
	}
	if len(b) == 0 {
		return "connection closed"
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
	if err != nil {
		return fmt.Sprintf("no answer but %q", b)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "half an answer: " + err.Error()
	}
	return describe(response.StatusCode, response.Header, body) + "connection closed\n"
}

// describe tells an answer: status, and of a problem its name, number, detail and hint.
func describe(status int, header http.Header, body []byte) string {
	if header.Get("Content-Type") != api.MediaProblem {
		return fmt.Sprintf("%d, not a problem: %.100s\n", status, bytes.TrimSpace(body))
	}
	var p api.Problem
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || p.Status != status || p.Title == "" {
		return fmt.Sprintf("%d, an incomplete problem: %s\n", status, body)
	}
	code := ""
	if p.Code != ledger.CodeOK {
		code = fmt.Sprintf(" (%d)", p.Code)
	}
	return fmt.Sprintf("%d %s%s: %s\n  hint: %s\n", status, p.Name, code, p.Detail, p.Hint)
}
