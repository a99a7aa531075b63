// Package node assembles a node from its parts and runs it: stores, chain, peer links, ordering, catch-up, intake and the
// HTTP server. It owns their life: what starts first stops last, and a broken invariant stops everything.
package node
