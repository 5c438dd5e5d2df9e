package cmd

import (
	"fmt"
	"sync"
	"time"
)

// progressAfter is how long a wait may be before it is shown.
const progressAfter = time.Second

// progress shows a person that a wait goes on: one line on a terminal that is drawn anew each second. Nil
// shows nothing.
type progress struct {
	env Environment

	mu   sync.Mutex
	text string // empty: nothing is waited for
}

// begin shows text for as long as the wait lasts, until end is called. Within another wait it shows that one.
func (p *progress) begin(text string) (end func()) {
	if p == nil || !p.env.Terminal || !p.start(text) {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		p.draw(stop)
	}()
	return func() {
		close(stop)
		<-stopped
		p.set("")
	}
}

func (p *progress) start(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text != "" {
		return false
	}
	p.text = text
	return true
}

// set changes the text of the wait under way.
func (p *progress) set(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
}

func (p *progress) draw(stop <-chan struct{}) {
	const clearLine = "\r\x1b[K"
	start := time.Now()
	ticker := time.NewTicker(progressAfter)
	defer ticker.Stop()
	for shown := false; ; shown = true {
		select {
		case <-stop:
			if shown {
				fmt.Fprint(p.env.Err, clearLine)
			}
			return
		case <-ticker.C:
			p.mu.Lock()
			text := p.text
			p.mu.Unlock()
			fmt.Fprintf(p.env.Err, "%s%s (%s)", clearLine, text, roughly(time.Since(start)))
		}
	}
}
