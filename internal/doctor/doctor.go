package doctor

import (
	"fmt"
)

// Result says how a check came out.
type Result string

// The results.
const (
	// OK: nothing to do.
	OK Result = "ok"
	// Warn: it works, and may not for long, or not as one would think.
	Warn Result = "warn"
	// Fail: it does not work.
	Fail Result = "fail"
)

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"check"`
	Result Result `json:"result"`
	// Text is what was found, Next what to do about it; empty if nothing.
	Text string `json:"text"`
	Next string `json:"next"`
}

// Report is what was found at one node.
type Report struct {
	// Subject is the home or the URL of the node.
	Subject string  `json:"subject"`
	Checks  []Check `json:"checks"`
}

// Failed reports whether any check failed.
func (r *Report) Failed() bool {
	for i := range r.Checks {
		if r.Checks[i].Result == Fail {
			return true
		}
	}
	return false
}

func (r *Report) add(name string, result Result, next, format string, args ...any) {
	r.Checks = append(r.Checks, Check{Name: name, Result: result, Text: fmt.Sprintf(format, args...), Next: next})
}

func (r *Report) ok(name, format string, args ...any) { r.add(name, OK, "", format, args...) }
