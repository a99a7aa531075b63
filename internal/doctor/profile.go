package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"

	"aval/api"
	"aval/client"
	"aval/internal/keyfile"
	"aval/ledger"
	"aval/suite"
)

// keySoon is how long before its end a key is spoken of.
const keySoon = 14 * ledger.Day

// Keys adds a check of every private key in a person's home: whether others may read it, and whether it may sign now or for how
// long, by what a node says of it. member looks a key up; now is the time on the ledger.
func (r *Report) Keys(ctx context.Context, keys keyfile.Dir, member func(ctx context.Context, key suite.PublicKey) (*api.Member, error), now ledger.Time) {
	entries, err := keys.List()
	if err != nil {
		r.add("keys", Fail, "move what is no key file out of the directory, or get it from a copy", "%v", err)
		return
	}
	if len(entries) == 0 {
		r.ok("keys", "there are none in %s", keys)
	}
	for i := range entries {
		e := &entries[i]
		name := "key " + e.Name
		if info, err := os.Stat(e.Path); err == nil && info.Mode().Perm()&0o077 != 0 {
			r.add(name, Warn, "chmod go= "+e.Path, "others than its owner may read %s", e.Path)
		}
		if member != nil {
			m, err := member(ctx, e.File.Public)
			r.dates(name, m, err, now)
		}
	}
}

// dates says whether a key may sign.
func (r *Report) dates(name string, m *api.Member, err error, now ledger.Time) {
	const renew = "have an admin of the party add a new key: `aval party add-key`, or `aval party rotate-key`"
	var problem *api.Problem
	switch {
	case errors.As(err, &problem) && problem.Name == api.NameNotFound:
		r.ok(name, "it belongs to no party: a node's, an issuer's, a clock's, or not used yet")
	case err != nil:
		r.add(name, Warn, "ask again when a node answers", "its dates are not known: %v", err)
	case m.RevokedAt != 0:
		r.add(name, Fail, renew, "key_revoked: party %s revoked it at %s: %s", m.Party, m.RevokedAt, or(m.Reason, "no reason was given"))
	case now > m.NotAfter:
		r.add(name, Fail, renew, "key_expired: it, or the credential of its person, ended at %s; it is %s", m.NotAfter, now)
	case now < m.NotBefore:
		r.add(name, Warn, "wait, or add the key anew with another beginning", "key_not_yet_valid: it begins at %s; it is %s", m.NotBefore, now)
	case m.NotAfter-now < keySoon:
		r.add(name, Warn, renew, "key_expires_soon: it ends at %s, in %.1f days", m.NotAfter, float64(m.NotAfter-now)/float64(ledger.Day))
	default:
		r.ok(name, "party %s, until %s", m.Party, m.NotAfter)
	}
}

// Answering adds which nodes answer, of those that a person's profile names.
func (r *Report) Answering(urls []string, errs []error) {
	answered := 0
	for _, err := range errs {
		if err == nil {
			answered++
		}
	}
	for i, err := range errs {
		if err == nil {
			continue
		}
		result := Warn
		if answered == 0 {
			result = Fail
		}
		r.add("nodes", result, "see whether it runs, or name another in client.toml", "%s: %s", urls[i], unreachable(err))
	}
	if answered == len(errs) && answered > 0 {
		r.ok("nodes", "each of %d answers", answered)
	}
}

// unreachable cuts what the client says of every node.
func unreachable(err error) string {
	if errors.Is(err, client.ErrUnreachable) {
		return fmt.Sprintf("no answer (%v)", err)
	}
	return err.Error()
}
