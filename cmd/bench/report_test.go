package bench_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/compozy/schedules/worker/temporaltest"
)

// row is one line of the table.
type row struct {
	// what is measured; figure is what came out, against what is beside it.
	what, figure, against string
	// ratio is the figure in terms of the other one; empty where there is none.
	ratio string
	// budget is empty for a row that only explains.
	budget string
	met    bool
}

func (r row) cells() []string {
	verdict := ""
	if r.budget != "" {
		verdict = map[bool]string{true: "met", false: "**not met**"}[r.met]
	}
	return []string{r.what, r.figure, r.against, r.ratio, r.budget, verdict}
}

// report is a table for each title, in the order in which its rows were measured.
type report struct {
	tables []table
	// server says what Temporal ran on.
	server string
}

type table struct {
	title string
	rows  []row
}

// begin starts a table.
func (r *report) begin(title string) { r.tables = append(r.tables, table{title: title}) }

// add adds rows to the last table.
func (r *report) add(rows ...row) {
	last := &r.tables[len(r.tables)-1]
	last.rows = append(last.rows, rows...)
	for _, row := range rows {
		fmt.Fprintln(os.Stdout, "BENCH", strings.Join(row.cells(), " | "))
	}
}

const (
	begin = "<!-- bench: begin -->"
	end   = "<!-- bench: end -->"
)

// finish prints the table, and writes it into the page where one is asked for.
func (r *report) finish(passed bool) error {
	text := r.machine()
	for _, table := range r.tables {
		text += table.text()
	}
	fmt.Fprintln(os.Stdout, text)
	switch {
	case *pageFile == "":
		return nil
	case !passed || len(r.tables) == 0:
		return errors.New("a benchmark failed: the page is left as it is")
	}
	path := *pageFile
	if !filepath.IsAbs(path) {
		root, err := temporaltest.Root()
		if err != nil {
			return err
		}
		path = filepath.Join(root, path)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	replaced, err := replace(string(old), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(replaced), 0o644)
}

// replace puts what was measured between the markers of a page.
func replace(text, measured string) (string, error) {
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("the page has no lines %s and %s", begin, end)
	}
	return before + begin + "\n" + measured + end + after, nil
}

// text writes a table as Markdown.
func (t table) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n", t.title)
	head := []string{"what", "figure", "beside it", "ratio", "budget", ""}
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat("---|", len(head)))
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row.cells(), " | "))
	}
	return b.String()
}

// machine says what the figures were measured on.
func (r *report) machine() string {
	temporal := r.server
	if path, err := temporaltest.Binary(); err == nil && temporal == "" {
		temporal = "development server in memory, " + output(path, "--version")
	}
	commit := output("git", "rev-parse", "--short", "HEAD")
	if output("git", "status", "--porcelain", "--untracked-files=no", "--", "*.go", "go.mod") != "" {
		commit += " with changes"
	}
	lines := []string{
		fmt.Sprintf("%s, commit %s, %d and %d schedules, `serve` processes: %d.",
			time.Now().UTC().Format(time.DateOnly), commit, small(), large(), *replicas),
		fmt.Sprintf("%s, %d processors, %s of memory, Linux %s, %s.", field("/proc/cpuinfo", "model name"), runtime.NumCPU(),
			gibibytes(field("/proc/meminfo", "MemTotal")), output("uname", "-r"), runtime.Version()),
		fmt.Sprintf("Temporal: %s.", temporal),
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// field is the value of the first line with a name in a file of the form `name : value`; "unknown" where there is none.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown"
}

func gibibytes(kilobytes string) string {
	var n float64
	if _, err := fmt.Sscanf(kilobytes, "%f kB", &n); err != nil {
		return kilobytes
	}
	return fmt.Sprintf("%.0f GiB", n/1024/1024)
}

func output(command string, args ...string) string {
	out, err := exec.Command(command, args...).Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(out))
}

func median[T time.Duration | float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// show writes a duration with three digits.
func show(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
}

func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

func perSecond(n float64) string { return fmt.Sprintf("%.0f/s", n) }

func times(ratio float64) string { return fmt.Sprintf("%.2f", ratio) }

// thousands writes 10000 as 10,000.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
