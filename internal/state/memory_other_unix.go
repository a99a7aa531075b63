//go:build unix && !linux

package state

func preferHuge([]byte) {}
