package schedulestest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"go.yaml.in/yaml/v4"
)

// wantedProject is what the checker reads of a project's files, with code of its own.
type wantedProject struct {
	Name      string
	Workflows []struct{ Source string }
	Temporal  struct {
		TaskQueue string `yaml:"task_queue"`
	}

	files []wantedFile
}

// wantedFile is a workflow's file with a schedule.
type wantedFile struct {
	ID       string
	Temporal struct {
		WorkflowType     string `yaml:"workflow_type"`
		WorkflowID       string `yaml:"workflow_id"`
		TaskQueue        string `yaml:"task_queue"`
		ExecutionTimeout string `yaml:"execution_timeout"`
		RunTimeout       string `yaml:"run_timeout"`
		TaskTimeout      string `yaml:"task_timeout"`
	}
	Schedule *wantedSchedule
}

type wantedSchedule struct {
	Cron           string
	Timezone       string
	Enabled        *bool
	Jitter         string
	OverlapPolicy  string     `yaml:"overlap_policy"`
	StartAt        *time.Time `yaml:"start_at"`
	EndAt          *time.Time `yaml:"end_at"`
	CatchupWindow  string     `yaml:"catchup_window"`
	PauseOnFailure bool       `yaml:"pause_on_failure"`
	Input          yaml.Node
	ScheduleID     string `yaml:"schedule_id"`
}

// readWanted reads a project. It knows plain globs only, no **.
func readWanted(dir string) (wantedProject, error) {
	var p wantedProject
	if err := readYAML(filepath.Join(dir, "compozy.yaml"), &p); err != nil {
		return p, err
	}
	var names []string
	for _, w := range p.Workflows {
		if strings.Contains(w.Source, "**") {
			return p, fmt.Errorf("source %q: the checker knows no **", w.Source)
		}
		matches, err := filepath.Glob(filepath.Join(dir, w.Source))
		if err != nil {
			return p, fmt.Errorf("source %q: %w", w.Source, err)
		}
		names = append(names, matches...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		var f wantedFile
		if strings.HasPrefix(filepath.Base(name), ".") {
			continue
		}
		if err := readYAML(name, &f); err != nil {
			return p, err
		}
		if f.Schedule != nil {
			p.files = append(p.files, f)
		}
	}
	return p, nil
}

func readYAML(name string, into any) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read what is wanted: %w", err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read what is wanted in %s: %w", name, err)
	}
	return nil
}

func (f *wantedFile) scheduleID(project string) string {
	return cmp.Or(f.Schedule.ScheduleID, "schedule-"+project+"-"+f.ID)
}

func (s *wantedSchedule) enabled() bool { return s.Enabled == nil || *s.Enabled }

// ended reports whether the schedule may be gone because its end has passed.
func (s *wantedSchedule) ended() bool { return s.EndAt != nil && s.EndAt.Before(time.Now()) }

// input is the input as JSON; empty where the file has none.
func (s *wantedSchedule) input() (string, error) {
	if s.Input.IsZero() {
		return "", nil
	}
	datesAreText(&s.Input)
	var value any
	if err := s.Input.Decode(&value); err != nil {
		return "", fmt.Errorf("read input: %w", err)
	}
	text, err := json.Marshal(value)
	return string(text), err
}

// datesAreText keeps dates without quotes the text that they are in the file.
func datesAreText(node *yaml.Node) {
	if node.ShortTag() == "!!timestamp" {
		node.Tag = "!!str"
	}
	for _, child := range node.Content {
		datesAreText(child)
	}
}

// zone is the IANA name of the schedule's zone.
func (s *wantedSchedule) zone() string {
	if rest, found := strings.CutPrefix(s.Cron, "CRON_TZ="); found {
		return strings.Fields(rest)[0]
	}
	return cmp.Or(s.Timezone, "UTC")
}

// next is the library's own way from a moment to the next one that the cron names.
func (s *wantedSchedule) next() (func(time.Time) time.Time, error) {
	zone, err := time.LoadLocation(s.zone())
	if err != nil {
		return nil, fmt.Errorf("read timezone: %w", err)
	}
	parsed, err := cron.ParseStandard(s.Cron)
	if err != nil {
		return nil, fmt.Errorf("read cron: %w", err)
	}
	switch parsed := parsed.(type) {
	case *cron.SpecSchedule:
		parsed.Location = zone
		return func(t time.Time) time.Time { return parsed.Next(t.In(zone)) }, nil
	case cron.ConstantDelaySchedule:
		// Intervals count from the Unix epoch, so that a restart moves nothing.
		every := int64(parsed.Delay / time.Second)
		return func(t time.Time) time.Time { return time.Unix((t.Unix()/every+1)*every, 0) }, nil
	default:
		return nil, errors.New("read cron: a kind that the checker does not know")
	}
}
