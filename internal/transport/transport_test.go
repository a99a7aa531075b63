package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"aval/suite"
)

func TestMessagesAndCalls(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		got := newCollector()
		received := make(chan time.Time, 1)
		a, b := pair(t, s, func(_, b *node) { b.cfg.Registerer = prometheus.NewRegistry() })
		b.Handle(Consensus, got.handle)
		b.Handle(Intake, func(ctx context.Context, _ Peer, _ []byte) {
			at, _ := ReceivedAt(ctx)
			received <- at
		})
		b.HandleCall(Request, func(_ context.Context, from Peer, req []byte) ([]byte, error) {
			if string(req) == "fail" {
				return nil, errors.New("no such thing")
			}
			return append([]byte(from.Name+" asked "), req...), nil
		})
		for _, m := range []string{"one", "", "three"} {
			if err := a.Send(b.signer.Public(), Consensus, []byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		if list := got.wait(t, 3); !slices.Equal(list, []string{"a: one", "a: ", "a: three"}) {
			t.Errorf("received %q", list)
		}
		if err := a.Send(b.signer.Public(), Intake, nil); err != nil {
			t.Fatal(err)
		}
		if at := receiveOne(t, received); time.Since(at) > patience || at.After(time.Now()) {
			t.Errorf("received at %v", at)
		}
		res, err := a.Call(t.Context(), b.signer.Public(), Request, []byte("why"))
		if err != nil || string(res) != "a asked why" {
			t.Errorf("answer %q, %v", res, err)
		}
		_, err = a.Call(t.Context(), b.signer.Public(), Request, []byte("fail"))
		var remote *RemoteError
		if !errors.As(err, &remote) || remote.Text != "no such thing" {
			t.Errorf("error answer: %v", err)
		}
		_, err = a.Call(t.Context(), b.signer.Public(), Catchup, nil)
		if !errors.As(err, &remote) || remote.Text != errNoHandler.Error() {
			t.Errorf("no handler: %v", err)
		}
		checkStatus(t, a, b)
		checkMetrics(t, b)
	})
}

func checkStatus(t *testing.T, a, b *node) {
	t.Helper()
	poll(t, "a ping is answered", func() bool { return a.Status()[0].RTT > 0 })
	s := a.Status()[0]
	if s.Name != "b" || !s.Connected || !bytes.Equal(s.Key, b.signer.Public()) || s.Since.IsZero() || s.Address != b.addr {
		t.Errorf("status %+v", s)
	}
	if other := b.Status()[0]; other.Dialed == s.Dialed {
		t.Errorf("both sides say dialed=%v", s.Dialed)
	}
}

func checkMetrics(t *testing.T, b *node) {
	t.Helper()
	families, err := b.cfg.Registerer.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := f.GetName()
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			values[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	if values["aval_transport_link_up a"] != 1 || values["aval_transport_received_frames_total consensus a"] != 3 {
		t.Errorf("metrics: %v", values)
	}
}

// TestOrder sends from several goroutines' worth of channels at once, mixed with large calls, and checks that
// each channel's messages arrive in order and complete.
func TestOrder(t *testing.T) {
	const count = 4000
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		a, b := pair(t, s, func(a, b *node) {
			a.cfg.Limits.QueueCountMax, b.cfg.Limits.QueueCountMax = count+100, count+100
			a.cfg.Limits.QueueBytesMax, b.cfg.Limits.QueueBytesMax = 1<<30, 1<<30
		})
		channels := []Channel{Consensus, Catchup, Intake}
		finished := make(chan Channel, len(channels))
		var next [channelMax + 1]uint32
		for _, c := range channels {
			b.Handle(c, func(_ context.Context, _ Peer, msg []byte) {
				if got := binary.BigEndian.Uint32(msg); got != next[c] {
					t.Errorf("channel %s: message %d instead of %d", c, got, next[c])
				}
				if next[c]++; next[c] == count {
					finished <- c
				}
			})
		}
		b.HandleCall(Request, func(_ context.Context, _ Peer, req []byte) ([]byte, error) { return req, nil })
		for _, c := range channels {
			go func() {
				for i := range uint32(count) {
					size := 4 + int(i*7919%3000)
					if i%500 == 0 {
						size = 3 * ChunkBytes
					}
					if err := a.Send(b.signer.Public(), c, append(binary.BigEndian.AppendUint32(nil, i), make([]byte, size)...)); err != nil {
						t.Errorf("send %d: %v", i, err)
						return
					}
				}
			}()
		}
		large := bytes.Repeat([]byte("bulk"), FrameBytesMax/4)
		for range 3 {
			res, err := a.Call(t.Context(), b.signer.Public(), Request, large)
			if err != nil || !bytes.Equal(res, large) {
				t.Fatalf("call of %d bytes: %d bytes, %v", len(large), len(res), err)
			}
		}
		for range channels {
			receiveOne(t, finished)
		}
	})
}

// TestVotePassesBulk queues far more bulk than fits the socket, then a vote, and expects the vote first.
func TestVotePassesBulk(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		a, b := pair(t, s, func(a, _ *node) { a.cfg.Limits.QueueBytesMax = 1 << 30 })
		var bulk atomic.Int32
		const count = 8
		seen := make(chan int32, 1)
		done := make(chan struct{})
		b.Handle(Consensus, func(context.Context, Peer, []byte) { seen <- bulk.Load() })
		b.Handle(Catchup, func(context.Context, Peer, []byte) {
			if bulk.Add(1) == count {
				close(done)
			}
		})
		payload := make([]byte, FrameBytesMax)
		for range count {
			if err := a.Send(b.signer.Public(), Catchup, payload); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Send(b.signer.Public(), Consensus, []byte("vote")); err != nil {
			t.Fatal(err)
		}
		if before := receiveOne(t, seen); before > count/2 {
			t.Errorf("%d of %d bulk messages arrived before the vote", before, count)
		}
		receiveOne(t, done)
	})
}

func TestSendErrors(t *testing.T) {
	s, err := suite.ByName("intl")
	if err != nil {
		t.Fatal(err)
	}
	n := newTestNet(t, s, "a", "b")
	observer := newSigner(t, s)
	a, b := n.nodes[0], n.nodes[1]
	a.cfg.Observers = []Peer{{Key: observer.Public(), Name: "gateway"}}
	n.build(a)
	n.start(a)
	for _, c := range []struct {
		name    string
		to      suite.PublicKey
		channel Channel
		msg     []byte
		want    error
	}{
		{"stranger", newSigner(t, s).Public(), Request, nil, ErrUnknownPeer},
		{"self", a.signer.Public(), Request, nil, ErrUnknownPeer},
		{"channel 0", b.signer.Public(), 0, nil, ErrChannel},
		{"channel 9", b.signer.Public(), channelMax + 1, nil, ErrChannel},
		{"consensus to an observer", observer.Public(), Consensus, nil, ErrChannel},
		{"too large", b.signer.Public(), Request, make([]byte, FrameBytesMax+1), ErrTooLarge},
		{"no link", b.signer.Public(), Request, nil, ErrNotConnected},
	} {
		if err := a.Send(c.to, c.channel, c.msg); !errors.Is(err, c.want) {
			t.Errorf("%s: Send: %v, want %v", c.name, err, c.want)
		}
		if _, err := a.Call(t.Context(), c.to, c.channel, c.msg); !errors.Is(err, c.want) {
			t.Errorf("%s: Call: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestCallEnds(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		a, b := pair(t, s, func(a, _ *node) { a.cfg.Limits.CallsMax = 1 })
		started, ended := make(chan bool, 4), make(chan error, 4)
		b.HandleCall(Request, func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
			_, bounded := ctx.Deadline()
			started <- bounded
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		})
		result := make(chan error, 2)
		call := func(ctx context.Context) {
			_, err := a.Call(ctx, b.signer.Public(), Request, []byte("wait"))
			result <- err
		}

		ctx, cancel := context.WithCancel(t.Context())
		go call(ctx)
		if !receiveOne(t, started) {
			t.Error("the handler has no deadline")
		}
		full, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer stop()
		if _, err := a.Call(full, b.signer.Public(), Request, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call beyond the bound: %v", err)
		}
		cancel()
		if err := receiveOne(t, result); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled call: %v", err)
		}
		if err := receiveOne(t, ended); !errors.Is(err, context.Canceled) {
			t.Errorf("the handler of a cancelled call: %v", err)
		}

		short, stop := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer stop()
		go call(short)
		if err := receiveOne(t, result); !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "deadline") {
			t.Errorf("call with a deadline: %v", err)
		}
		receiveOne(t, started)
		if err := receiveOne(t, ended); err == nil {
			t.Error("the handler outlived the deadline")
		}

		go call(t.Context())
		receiveOne(t, started)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if err := receiveOne(t, result); !errors.Is(err, ErrLinkLost) {
			t.Errorf("call over a lost link: %v", err)
		}
	})
}

func TestObserver(t *testing.T) {
	eachSuite(t, func(t *testing.T, s suite.Suite) {
		n := newTestNet(t, s, "validator", "gateway")
		v, g := n.nodes[0], n.nodes[1]
		g.cfg.Listener = nil // It cannot be dialed, and v must not try.
		v.cfg.Peers, v.cfg.Observers = nil, g.cfg.Peers[1:]
		g.cfg.Peers = g.cfg.Peers[:1]
		v.cfg.Dial = nil
		n.up()
		if st := v.Status()[0]; !st.Observer || st.Dialed {
			t.Errorf("validator's view: %+v", st)
		}
		v.HandleCall(Intake, func(_ context.Context, from Peer, _ []byte) ([]byte, error) {
			if !from.Observer {
				t.Error("the caller is not marked as an observer")
			}
			return nil, nil
		})
		if _, err := g.Call(t.Context(), v.signer.Public(), Intake, nil); err != nil {
			t.Error(err)
		}
		v.Handle(Consensus, func(context.Context, Peer, []byte) { t.Error("an observer's consensus message was handled") })
		if err := g.Send(v.signer.Public(), Consensus, []byte("vote")); err != nil {
			t.Fatal(err)
		}
		poll(t, "the observer is cut off", func() bool { return strings.Contains(v.Status()[0].LastError, "consensus") })
	})
}

func TestValidate(t *testing.T) {
	s, err := suite.ByName("sm")
	if err != nil {
		t.Fatal(err)
	}
	self, other := newSigner(t, s), newSigner(t, s)
	cfg := Config{
		Suite: s, Self: self, Listen: "nowhere",
		Peers:     []Peer{{Key: other.Public(), Name: "x", Address: "no-port"}, {Key: other.Public(), Name: "y"}},
		Observers: []Peer{{Key: suite.PublicKey{1, 2}, Name: "x"}, {Key: newSigner(t, s).Public(), Name: "\xff"}},
		Limits:    Limits{PingInterval: time.Hour, RedialMin: time.Minute, HandshakesMax: -1},
	}
	_, err = New(cfg)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"network id is required", `listen address "nowhere"`, `address "no-port"`, "has the key of", "two peers have this name",
		`observer "x" (0102)`, "not UTF-8", "shorter than two ping intervals", "above the maximum", "handshakes: -1",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among the problems:\n%v", want, err)
		}
	}
	if err := (Config{}).Validate(); err == nil || !strings.Contains(err.Error(), "node key is required") {
		t.Errorf("empty configuration: %v", err)
	}
}
