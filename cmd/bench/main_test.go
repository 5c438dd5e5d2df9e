// Package bench_test measures what the project promises, with a real `schedules serve` on a fresh Temporal server,
// beside what a program without it would do there in the same run. `make bench` runs it; docs/benchmarks.md has the
// figures and says how to read them.
package bench_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/compozy/schedules/cmd/schedulestest"
)

var (
	// binary is ours; page gathers what the topics have measured.
	binary string
	page   report

	measure   = flag.Bool("measure", false, "run the benchmarks")
	pageFile  = flag.String("bench-page", "", "write the table into this page, a path from the repository's root")
	schedules = flag.Int("schedules", 10_000, "schedules of the large project; the small one has a tenth")
	replicas  = flag.Int("replicas", 1, "how many `serve` processes work on a project")
	profiles  = flag.String("pprof", "", "write profiles of `serve` into this directory")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !*measure {
		fmt.Fprintln(os.Stderr, "not asked for: make bench")
		return
	}
	os.Exit(schedulestest.Main(func(built string) int {
		binary = built
		code := m.Run()
		if err := page.finish(code == 0); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return code
	}))
}

// small and large are the two sizes of projects.
func small() int { return *schedules / 10 }
func large() int { return *schedules }
