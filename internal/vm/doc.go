// Package vm is what execution may see: a View of state that has Get and no scan, a Journal that collects writes and
// events and can take them back, and the Context in which one operation runs.
package vm
