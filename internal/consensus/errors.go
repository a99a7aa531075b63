package consensus

import "errors"

// What Submit reports.
var (
	// ErrDuplicate reports a request that was ordered or is already pending.
	ErrDuplicate = errors.New("consensus: the request is already ordered or pending")
	// ErrBusy reports a full pool.
	ErrBusy = errors.New("consensus: too many requests are pending, try again later")
	// ErrStopped reports an engine that is not running.
	ErrStopped = errors.New("consensus: the engine is not running")
)
