package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// translation is part of each spec hash. It changes when the same YAML is to be sent to Temporal in
// another form, so that existing schedules are updated once.
const translation = 2

// shortHash is how many hex digits people see of a hash.
const shortHash = 12

// canonical is a workflow's desired state with defaults applied and one spelling for each value, so
// that formatting, comments and order do not count. Its JSON is what the hashes are made of:
// encoding/json sorts map keys.
type canonical struct {
	Translation    int            `json:"translation"`
	Project        string         `json:"project"`
	ID             string         `json:"id"`
	Start          Start          `json:"start"`
	Cron           string         `json:"cron"`
	Timezone       string         `json:"timezone"`
	Jitter         time.Duration  `json:"jitter"`
	Overlap        OverlapPolicy  `json:"overlap"`
	StartAt        string         `json:"start_at"`
	EndAt          string         `json:"end_at"`
	CatchupWindow  time.Duration  `json:"catchup_window"`
	PauseOnFailure bool           `json:"pause_on_failure"`
	Input          map[string]any `json:"input"`
	ScheduleID     string         `json:"schedule_id,omitempty"`
}

// Fingerprint is the project's revision: the SHA-256 of its name and of all desired schedules, in
// hex. Workflows must be in order of their ids, as Load leaves them.
func Fingerprint(p *Project) (string, error) {
	type entry struct {
		Spec    string `json:"spec"`
		Enabled bool   `json:"enabled"`
		Adopt   bool   `json:"adopt,omitempty"`
	}
	scheduled := p.Scheduled()
	entries := make([]entry, len(scheduled))
	for i, w := range scheduled {
		sum, err := w.sum(p.Name)
		if err != nil {
			return "", err
		}
		entries[i] = entry{Spec: sum, Enabled: w.Schedule.IsEnabled(), Adopt: w.Schedule.Adopt}
	}
	return hashJSON(map[string]any{"project": p.Name, "schedules": entries})
}

// SpecHash is the short hash of one schedule's desired spec, action and policies. `enabled` is not in
// it: pausing is no change of the schedule.
func (w Workflow) SpecHash(project string) (string, error) {
	sum, err := w.sum(project)
	if err != nil {
		return "", err
	}
	return Short(sum), nil
}

// Short is the form of a revision or hash that people see: its first 12 hex digits.
func Short(hash string) string {
	return hash[:min(len(hash), shortHash)]
}

func (w Workflow) sum(project string) (string, error) {
	s := w.Schedule
	c := canonical{
		Translation:    translation,
		Project:        project,
		ID:             w.ID,
		Start:          w.Start,
		Cron:           strings.Join(strings.Fields(s.Cron), " "),
		Timezone:       s.Timezone,
		Overlap:        s.Overlap(),
		StartAt:        canonicalTime(s.StartAt),
		EndAt:          canonicalTime(s.EndAt),
		PauseOnFailure: s.PauseOnFailure,
		Input:          s.Input,
	}
	if id := w.ScheduleID(project); id != DefaultScheduleID(project, w.ID) {
		c.ScheduleID = id
	}
	if w.Start.WorkflowID == DefaultWorkflowID(project, w.ID) {
		c.Start.WorkflowID = ""
	}
	if c.Timezone == "UTC" {
		c.Timezone = ""
	}
	var err error
	if c.Jitter, err = ParseDuration("jitter", s.Jitter); err != nil {
		return "", err
	}
	if c.CatchupWindow, err = ParseDuration("catchup_window", s.CatchupWindow); err != nil {
		return "", err
	}
	return hashJSON(c)
}

func canonicalTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func hashJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
