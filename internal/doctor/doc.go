// Package doctor examines a node: a running one by what it says of itself, a stopped one by its home, with configuration,
// genesis, key, permissions, ports, disk and stores. It says of each check whether it is well, and what to do next if not.
package doctor
