package bft

import (
	"testing"
	"testing/synctest"
	"time"
)

// All subscribers hear the same beats; who leaves hears no more, and the last one to leave stops the clock.
func TestMetronome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m metronome
		first, stopFirst := m.subscribe(time.Second)
		second, stopSecond := m.subscribe(time.Second)
		if a, b := <-first, <-second; !a.Equal(b) {
			t.Errorf("one beat came at %v and at %v", a, b)
		}
		stopFirst()
		stopFirst()
		<-second
		select {
		case <-first:
			t.Error("who left hears a beat")
		default:
		}
		stopSecond()
		synctest.Wait() // the test fails if the metronome is still running at its end
		third, stop := m.subscribe(2 * time.Second)
		began := time.Now()
		if <-third; time.Since(began) != 2*time.Second {
			t.Errorf("the first beat of a new period came after %v", time.Since(began))
		}
		stop()
	})
}
