package bench

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress shows what is going on: on a terminal in one line that is written over, elsewhere a line now and then. It is safe
// for concurrent use.
type progress struct {
	mu       sync.Mutex
	to       io.Writer
	terminal bool
	width    int // of the line that stands
	last     time.Time
	begin    time.Time
}

func newProgress(to io.Writer, terminal bool) *progress {
	return &progress{to: to, terminal: terminal, begin: time.Now()}
}

// The pauses between two lines that show the same.
const (
	showTerminal = 200 * time.Millisecond
	showElse     = 5 * time.Second
)

// show tells how far something has come; most calls are passed over.
func (p *progress) show(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := showElse
	if p.terminal {
		every = showTerminal
	}
	if time.Since(p.last) < every {
		return
	}
	p.last = time.Now()
	text := p.stamp() + fmt.Sprintf(format, args...)
	if !p.terminal {
		fmt.Fprintln(p.to, text)
		return
	}
	fmt.Fprintf(p.to, "\r%-*s", p.width, text)
	p.width = len(text)
}

// say writes a line that stays.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintln(p.to, p.stamp()+fmt.Sprintf(format, args...))
}

// finish removes what show left on a terminal.
func (p *progress) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.terminal && p.width > 0 {
		fmt.Fprintf(p.to, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// stamp returns how long the run has taken.
func (p *progress) stamp() string {
	s := int(time.Since(p.begin).Seconds())
	return fmt.Sprintf("%2d:%02d  ", s/60, s%60)
}
