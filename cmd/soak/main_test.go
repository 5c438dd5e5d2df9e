// Package soak_test lets real replicas work for a long time while files change, people write and processes die, and
// holds after every round that nothing was lost and that nothing grows. `make soak` runs it.
package soak_test

import (
	"flag"
	"testing"
	"time"
)

// The flags of a soak. Without -soak it is skipped.
var (
	duration  = flag.Duration("soak", 0, "let replicas work for this long while things break, such as 1h")
	schedules = flag.Int("schedules", 200, "how many schedules the project begins with")
	seed      = flag.Int64("seed", 0, "the seed of what happens; 0: a new one, which is printed")
)

func TestSoak(t *testing.T) {
	if *duration == 0 {
		t.Skip("not asked for: make soak, or go test ./cmd/soak -count=1 -timeout 0 -v -soak 10m")
	}
	if *seed == 0 {
		*seed = time.Now().UnixNano()
	}
	t.Logf("soak of %s with -seed %d", *duration, *seed)
	w := newWorld(t, *seed)
	w.settle()
	w.sample()
	for start := time.Now(); time.Since(start) < *duration; {
		w.round()
		w.settle()
		w.sample()
	}
	w.report()
}
