package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// envPrefix begins the names of the environment variables that are settings of a node.
const envPrefix = "AVAL_NODE_"

// CheckEnviron refuses environment variables that begin like settings of a node and are none: whoever misspells one believes that
// it took effect. environ is of the form of os.Environ.
func CheckEnviron(environ []string) error {
	var known []string
	for _, s := range Settings() {
		known = append(known, s.Env())
	}
	var errs []error
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, envPrefix) && !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("$%s is no setting of a node%s; unset it, or see `aval config show --help`", name, meant(name, known, "$")))
		}
	}
	return errors.Join(errs...)
}

// keysOfFile are the keys that config.toml may have.
func keysOfFile() []string {
	out := []string{"peers.name", "peers.key", "peers.address", "peers"}
	for _, s := range Settings() {
		out = append(out, s.Key)
	}
	return out
}

// meant returns what a misspelt name was probably meant to be, as the end of a sentence, or nothing.
func meant(name string, known []string, mark string) string {
	best, least := "", len(name)/3+1
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s%s?)", mark, best)
}

// distance returns how many letters must be changed, put in or left out to make b of a (Levenshtein). Both are short.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for k := range len(b) {
			cost := diagonal
			if a[i] != b[k] {
				cost++
			}
			diagonal = row[k+1]
			row[k+1] = min(cost, row[k]+1, row[k+1]+1)
		}
	}
	return row[len(b)]
}
