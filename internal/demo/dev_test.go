package demo

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"aval/client"
	"aval/internal/config"
	"aval/ledger"
	"aval/suite"
)

// told is a writer that hands over the first text it receives.
type told chan string

// Write implements io.Writer.
func (t told) Write(b []byte) (int, error) {
	t <- string(b)
	return len(b), nil
}

// keepSandbox runs a sandbox until visit returns.
func keepSandbox(t *testing.T, cfg DevConfig, visit func(ctx context.Context, guide string, c *client.Client, parties map[string]string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	guide, ended := make(told, 1), make(chan error, 1)
	cfg.Stdout, cfg.Listen = guide, "127.0.0.1:0"
	cfg.Env = func(string) (string, bool) { return "", false }
	go func() { ended <- Dev(ctx, cfg) }()
	select {
	case text := <-guide:
		profile, err := config.LoadProfile(cfg.Home)
		if err != nil {
			t.Fatal(err)
		}
		genesis, err := os.ReadFile(filepath.Join(cfg.Home, profile.Genesis))
		if err != nil {
			t.Fatal(err)
		}
		c, err := client.New(client.Config{Endpoints: profile.Nodes, Genesis: genesis, AcceptLab: true})
		if err != nil {
			t.Fatal(err)
		}
		visit(ctx, text, c, profile.Parties)
	case err := <-ended:
		t.Fatalf("ended at once: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestSandboxIsReadyAndGoesOn(t *testing.T) {
	home := filepath.Join(t.TempDir(), "new", "sandbox")
	var first ledger.Height
	visit := func(ctx context.Context, guide string, c *client.Client, parties map[string]string) {
		if !strings.Contains(guide, "voucher issue") || !strings.Contains(guide, home) {
			t.Errorf("the guide says\n%s", guide)
		}
		bank, core := ledger.PartyID(parties["bank"]), ledger.PartyID(parties["core"])
		limit, err := c.Limit(ctx, bank, core, ledger.LimitIssue)
		if err != nil || limit.Free != devLimit {
			t.Errorf("limit %+v, %v", limit, err)
		}
		account, err := c.Account(ctx, bank, core)
		if err != nil || account.Balance != devDeposit {
			t.Errorf("account %+v, %v", account, err)
		}
		p, err := c.Party(ctx, ledger.PartyID(parties["supplier2"]))
		if err != nil || len(p.Keys) != 3 || !p.Keys[0].Valid {
			t.Errorf("supplier2 is %+v, %v", p, err)
		}
		if anew := strings.Contains(guide, "INV-1 "); anew != (first == 0) || anew == strings.Contains(guide, "goes on at height") {
			t.Errorf("after height %d the guide says\n%s", first, guide)
		}
		if first == 0 {
			first = limit.AsOf.Height
		} else if limit.AsOf.Height < first {
			t.Errorf("height %d after a restart, %d before", limit.AsOf.Height, first)
		}
	}
	intl, err := suite.ByID(suite.Intl)
	if err != nil {
		t.Fatal(err)
	}
	keepSandbox(t, DevConfig{Home: home}, visit)
	keepSandbox(t, DevConfig{Home: home, Clock: ledger.ClockReal}, visit)
	for _, other := range []DevConfig{{Home: home, Suite: intl}, {Home: home, Clock: ledger.ClockLab}} {
		if err := Dev(t.Context(), other); err == nil || !strings.Contains(err.Error(), "another --home") {
			t.Errorf("an old sandbox was started with %+v: %v", other, err)
		}
	}
}

func TestSandboxWithALabClock(t *testing.T) {
	home := filepath.Join(t.TempDir(), "lab")
	keepSandbox(t, DevConfig{Home: home, Clock: ledger.ClockLab}, func(ctx context.Context, guide string, c *client.Client, _ map[string]string) {
		info, err := c.NetworkInfo(ctx)
		if err != nil || info.Clock != "lab" || !strings.Contains(guide, "lab clock") {
			t.Errorf("%+v, %v; %s", info, err, guide)
		}
		if _, err := os.Stat(filepath.Join(home, config.KeysName, "clock.key")); err != nil {
			t.Error(err)
		}
	})
}

func TestSandboxRefusesAForeignHome(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "letters"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Dev(t.Context(), DevConfig{Home: home, Stdout: told(nil)}); err == nil || !regexp.MustCompile(`not empty|not the home`).MatchString(err.Error()) {
		t.Errorf("the error is %v", err)
	}
	entries, err := os.ReadDir(home)
	if err != nil || len(entries) != 1 {
		t.Errorf("the home holds %v, %v", entries, err)
	}
}

func TestSandboxSecretsAreTheOwnersAlone(t *testing.T) {
	home := filepath.Join(t.TempDir(), "sandbox")
	cfg := DevConfig{Home: home}
	if err := cfg.setDefaults(); err != nil {
		t.Fatal(err)
	}
	s, err := openSandbox(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.log.Close(); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(home, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
