package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
)

// stage is one part of a transaction's way, for splitting processor time.
type stage string

// The stages, in the order in which they are shown.
const (
	stageVerify    stage = "verify signatures"
	stageIntake    stage = "intake"
	stageHTTP      stage = "HTTP"
	stageNetwork   stage = "peer links"
	stageConsensus stage = "consensus"
	stageBlocks    stage = "check and store blocks"
	stageExecute   stage = "execute"
	stageState     stage = "state commit"
	stageStorage   stage = "storage engine"
	stageCollector stage = "garbage collector"
	stageRuntime   stage = "runtime and rest"
)

var stages = []stage{stageVerify, stageIntake, stageHTTP, stageNetwork, stageConsensus, stageBlocks, stageExecute, stageState, stageStorage,
	stageCollector, stageRuntime}

// stageRules say which stage a function belongs to, by the beginning of its name. The first rule that matches a function
// counts, and of a stack the innermost function that any rule matches: encoding, hashing and allocation belong to whoever
// asked for them.
var stageRules = []struct {
	prefix string
	stage  stage
}{
	{"runtime.gcBgMarkWorker", stageCollector}, {"runtime.gcAssistAlloc", stageCollector}, {"runtime.bgsweep", stageCollector},
	{"runtime.bgscavenge", stageCollector}, {"runtime.gcStart", stageCollector}, {"runtime.gcMarkDone", stageCollector},
	{"aval/suite.(*sm).Verify", stageVerify}, {"aval/suite.(*intl).Verify", stageVerify}, {"aval/suite.(*sm2Key).", stageVerify},
	{"aval/suite/internal/", stageVerify}, {"aval/suite.inParallel", stageVerify},
	{"github.com/cockroachdb/pebble", stageStorage}, {"aval/internal/kv.", stageStorage},
	{"aval/internal/state.", stageState},
	{"aval/internal/exec.", stageExecute}, {"aval/internal/native/", stageExecute}, {"aval/internal/vm.", stageExecute}, {"aval/internal/rule", stageExecute},
	{"aval/internal/transport.", stageNetwork}, {"crypto/tls.", stageNetwork},
	{"aval/internal/intake", stageIntake},
	{"aval/internal/chain.", stageBlocks}, {"aval/internal/catchup.", stageBlocks},
	{"aval/internal/consensus", stageConsensus}, {"github.com/hyperledger-labs/SmartBFT", stageConsensus}, {"aval/internal/node.", stageConsensus},
	{"aval/internal/server.", stageHTTP}, {"net/http.", stageHTTP}, {"github.com/danielgtaylor/huma", stageHTTP},
}

// stageOf returns the stage of a function, false if no rule knows it.
func stageOf(function string) (stage, bool) {
	for _, r := range stageRules {
		if strings.HasPrefix(function, r.prefix) {
			return r.stage, true
		}
	}
	return "", false
}

// attribute adds the processor time in p, in ns, to the stages.
func attribute(p *profile.Profile, to map[stage]int64) {
	value := len(p.SampleType) - 1 // of a CPU profile: count, then nanoseconds
	for _, s := range p.Sample {
		to[stageOfStack(s)] += s.Value[value]
	}
}

func stageOfStack(s *profile.Sample) stage {
	for _, l := range s.Location { // innermost first
		for i := range l.Line { // of inlined functions too
			if f := l.Line[i].Function; f != nil {
				if found, ok := stageOf(f.Name); ok {
					return found
				}
			}
		}
	}
	return stageRuntime
}

// profileMost is how long the validators are profiled at most. They are profiled piece by piece, each as long as profilePiece
// but at least profileLeast, so that there is a profile of a load that ends early, too.
const (
	profileMost  = 30 * time.Second
	profilePiece = 4 * time.Second
	profileLeast = time.Second
)

// profiles are the CPU profiles of all validators over the same time.
type profiles struct {
	all []*profile.Profile
	// err says why there are not more of them.
	err error
}

// profile fetches CPU profiles of all validators over d, until one fails or the load has ended, and keeps them as files in
// dir.
func (n *network) profile(ctx context.Context, d time.Duration, ended func() bool, dir string) *profiles {
	out := new(profiles)
	pieces := make([][]*profile.Profile, len(n.debug))
	for d = max(profileLeast, min(d, profileMost)); d >= profileLeast && !ended() && out.err == nil; d -= profilePiece {
		out.err = n.profilePiece(ctx, min(d, profilePiece), pieces)
	}
	for i := range pieces {
		if len(pieces[i]) == 0 {
			continue
		}
		merged, err := profile.Merge(pieces[i])
		if err == nil {
			err = writeProfile(filepath.Join(dir, fmt.Sprintf("cpu-%d.pprof", i)), merged)
		}
		if err != nil {
			out.err = errors.Join(out.err, err)
			continue
		}
		out.all = append(out.all, merged)
	}
	return out
}

// profilePiece adds the profile of every validator over d to its pieces, or none.
func (n *network) profilePiece(ctx context.Context, d time.Duration, pieces [][]*profile.Profile) error {
	got, errs := make([]*profile.Profile, len(n.debug)), make([]error, len(n.debug))
	var wg sync.WaitGroup
	for i := range n.debug {
		wg.Go(func() { got[i], errs[i] = fetchProfile(ctx, n.debug[i], d) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i := range got {
		pieces[i] = append(pieces[i], got[i])
	}
	return nil
}

func writeProfile(path string, p *profile.Profile) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return p.Write(file)
}

// profileBytesMax bounds the profile of one node.
const profileBytesMax = 64 << 20

func fetchProfile(ctx context.Context, address string, d time.Duration) (p *profile.Profile, err error) {
	url := "http://" + address + "/debug/pprof/profile?seconds=" + strconv.Itoa(int(d.Seconds()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, profileBytesMax))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("profile of %s: %s", address, resp.Status)
	}
	return profile.ParseData(raw)
}

// share is a stage's part of all processor time.
type share struct {
	Stage stage   `json:"stage"`
	Share float64 `json:"share"`
	// USPerTx is the processor time per transaction over all validators, in µs.
	USPerTx float64 `json:"us_per_tx"`
}

// split returns the stages' shares of perTx, none if there is no profile.
func (p *profiles) split(perTx time.Duration) []share {
	if p == nil {
		return nil
	}
	sums := map[stage]int64{}
	var total int64
	for _, one := range p.all {
		attribute(one, sums)
	}
	for _, s := range stages {
		total += sums[s]
	}
	if total == 0 {
		return nil
	}
	var out []share
	for _, s := range stages {
		part := float64(sums[s]) / float64(total)
		out = append(out, share{Stage: s, Share: part, USPerTx: part * float64(perTx.Nanoseconds()) / 1000})
	}
	return out
}
