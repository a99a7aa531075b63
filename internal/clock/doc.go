// Package clock is where the program's shell gets time from: the real clock, or a fake one that tests and the
// simulator move by hand. The core has no clock: there, time is data in the block.
package clock
