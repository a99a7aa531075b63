// Package fleet runs the nodes of one network as child processes of this program, on loopback, for demonstrations and
// measurements. The children die with the program, whatever ends it, where the system can see to that.
package fleet
