package tidy

import (
	"fmt"
	"go/ast"
	"strings"
)

// layers lists the packages from the bottom up. A package imports packages of strictly lower levels only: no sibling, nothing
// above. "3a" lies above "3" and below "3b".
//
// "dir" names one package, "dir/..." all packages below dir that have no line of their own; the longest match counts.
// Two kinds need no line: dir/internal/... is part of dir, just below it, and dir/xtest (a name that ends in "test") is a
// suite for dir's tests, just above it, which only test files may import.
var layers = []layer{
	{"0", "internal/invariant internal/appetite"},
	{"0a", "codec suite internal/clock"}, // a verifier that is wrong is a broken invariant
	{"1", "merkle"},
	{"1a", "ledger"}, // a block's payload root is a Merkle root
	{"2", "internal/kv internal/vm"},
	{"3", "internal/state"},
	{"3a", "internal/native/identity internal/rule"},
	{"3b", "internal/native/money internal/native/document internal/native/evidence internal/native/credit"},
	{"3c", "internal/native/voucher"},
	{"3d", "internal/native/finance"},
	{"4", "internal/exec"},
	{"5", "internal/chain"},
	{"5a", "internal/snapshot"},
	{"6", "internal/intake internal/consensus internal/index"},
	{"6a", "internal/consensus/... internal/index/..."}, // engines and databases behind those interfaces
	{"7", "internal/transport internal/catchup internal/keyfile api web"},
	{"8", "internal/server internal/config client"},
	{"9", "internal/genesis"},                         // founds networks: writes the homes that config reads
	{"10", "internal/node internal/fleet"},            // fleet runs nodes as processes
	{"10b", "internal/sim/check internal/sim/engine"}, // judges whole networks by what can be observed; orders on one thread
	{"11", "internal/sim internal/sim/... internal/bench internal/demo internal/doctor"},
	{"12", "internal/cli internal/e2e"},
	{"13", "cmd/... internal/tidy"},
}

// chainDir is the package below which execution is a pure function.
const chainDir = "internal/chain"

// layer is one level and its packages, separated by spaces.
type layer struct {
	level    string
	packages string
}

// Ranks put levels in order: the number counts 100, its letter 10, and 5 is the room for parts and suites of one package.
const (
	rankNumber = 100
	rankLetter = 10
	rankPart   = 5
)

// place is where a package stands.
type place struct {
	rank  int
	level string
	owner string // the listed package it is a part or a suite of, else itself
	suite bool   // only test files may import it
}

// find returns the place of a package folder, and false if the table does not know it.
func find(dir string) (place, bool) {
	if i := strings.LastIndex(dir, "/internal/"); i >= 0 {
		if p, ok := find(dir[:i]); ok {
			return place{rank: p.rank - rankPart, level: p.level, owner: p.owner}, true
		}
	}
	best, bestLen := place{}, -1
	for _, l := range layers {
		for pattern := range strings.FieldsSeq(l.packages) {
			if n := match(pattern, dir); n > bestLen {
				best, bestLen = place{rank: rank(l.level), level: l.level, owner: dir}, n
			}
		}
	}
	parent, base, _ := cutLast(dir)
	if bestLen < len(dir) && strings.HasSuffix(base, "test") {
		if p, ok := find(parent); ok {
			return place{rank: p.rank + rankPart, level: p.level, owner: parent, suite: true}, true
		}
	}
	return best, bestLen >= 0
}

// match returns how many bytes of dir the pattern fixes, or -1 if it does not match.
func match(pattern, dir string) int {
	if prefix, ok := strings.CutSuffix(pattern, "..."); ok {
		if strings.HasPrefix(dir, prefix) {
			return len(prefix)
		}
		return -1
	}
	if pattern == dir {
		return len(dir)
	}
	return -1
}

// rank turns a level such as "3b" into a number that orders.
func rank(level string) int {
	number, letter := 0, 0
	for _, c := range level {
		if c >= 'a' {
			letter = int(c-'a') + 1
		} else {
			number = number*10 + int(c-'0')
		}
	}
	return number*rankNumber + letter*rankLetter
}

// cutLast splits a path at its last slash.
func cutLast(dir string) (parent, base string, found bool) {
	i := strings.LastIndex(dir, "/")
	if i < 0 {
		return "", dir, false
	}
	return dir[:i], dir[i+1:], true
}

// checkLayers finds packages that are not in the table and imports that do not point downwards.
func checkLayers(r *Repo) []Finding {
	var out []Finding
	for _, p := range r.packages {
		from, ok := find(p.dir)
		if !ok {
			out = append(out, Finding{Path: p.dir, Rule: "layers", Text: "this package has no level: " +
				"add it to the table `layers` in internal/tidy/layers.go and to the picture in docs/ARCHITECTURE.md"})
			continue
		}
		for _, f := range p.files {
			f.imports(func(path string, spec *ast.ImportSpec) {
				dir, ok := strings.CutPrefix(path, r.module+"/")
				if !ok || dir == p.dir {
					return
				}
				if why := refuse(from, dir, f.test); why != "" {
					out = append(out, Finding{Path: f.path, Line: r.line(spec.Pos()), Rule: "layers",
						Text: fmt.Sprintf("%s (level %s) may not import %s: %s", p.dir, from.level, dir, why)})
				}
			})
		}
	}
	return out
}

// refuse says why a package may not import another, or "" if it may. Test files may also import siblings and suites, because
// a test is compiled into nothing that lies above it.
func refuse(from place, dir string, test bool) string {
	to, ok := find(dir)
	switch {
	case !ok:
		return "it has no level in internal/tidy/layers.go"
	case to.suite && !test && !from.suite:
		return "it is a suite for tests"
	case to.rank < from.rank:
		return ""
	case to.owner == from.owner:
		return "" // parts of one package; the compiler refuses cycles
	case test && to.rank <= from.rank+rankPart:
		return ""
	case to.level == from.level:
		return "it is a sibling of the same level; move what both need below them"
	default:
		return fmt.Sprintf("it lies above, at level %s; take an interface instead", to.level)
	}
}
