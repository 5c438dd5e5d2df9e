package config

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// WriteWorkflow writes a workflow as a file's text, with the comments as lines at its top. Defaults are left
// out, save the workflow type and the task queue, which would otherwise change with the id or the project.
// The text is read back: the error, which may be Problems, is a workflow that no file can say.
func WriteWorkflow(w Workflow, comments []string) ([]byte, error) {
	top := mapping{}
	top.put("id", quietText(w.ID))
	top.put("temporal", startNode(w.Start))
	if w.Schedule != nil {
		top.put("schedule", scheduleNode(*w.Schedule))
	}
	body, err := yaml.Dump(top.node(), yaml.WithLineWidth(-1), yaml.WithQuotePreference(yaml.QuoteDouble))
	if err != nil {
		return nil, fmt.Errorf("write workflow %s as YAML: %w", w.ID, err)
	}
	text := append(commentLines(comments), body...)
	if err := checkWritten(w, text); err != nil {
		return nil, err
	}
	return text, nil
}

// DurationText is a duration as people write it: 90s, 5m and 24h, and Go's 1h1m1s where no one unit will do.
func DurationText(d time.Duration) string {
	const longest = 1000
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.size; d%unit.size == 0 && n > 0 && n < longest {
			return fmt.Sprintf("%d%s", n, unit.name)
		}
	}
	return d.String()
}

func startNode(s Start) *yaml.Node {
	var m mapping
	m.text("workflow_type", s.WorkflowType)
	m.text("workflow_id", s.WorkflowID)
	m.text("task_queue", s.TaskQueue)
	m.duration("execution_timeout", s.ExecutionTimeout)
	m.duration("run_timeout", s.RunTimeout)
	m.duration("task_timeout", s.TaskTimeout)
	if s.Retry != nil {
		m.put("retry", retryNode(*s.Retry))
	}
	if len(s.Memo) > 0 {
		m.put("memo", plainNode(s.Memo))
	}
	if len(s.SearchAttributes) > 0 {
		m.put("search_attributes", plainNode(s.SearchAttributes))
	}
	return m.node()
}

func retryNode(r Retry) *yaml.Node {
	var m mapping
	m.duration("initial_interval", r.InitialInterval)
	if r.BackoffCoefficient != 0 {
		m.put("backoff_coefficient", plainNode(r.BackoffCoefficient))
	}
	m.duration("maximum_interval", r.MaximumInterval)
	if r.MaximumAttempts != 0 {
		m.put("maximum_attempts", plainNode(r.MaximumAttempts))
	}
	if len(r.NonRetryableErrors) > 0 {
		m.put("non_retryable_error_types", plainNode(r.NonRetryableErrors))
	}
	return m.node()
}

func scheduleNode(s Schedule) *yaml.Node {
	var m mapping
	m.put("cron", quotedText(s.Cron))
	m.text("timezone", s.Timezone)
	if !s.IsEnabled() {
		m.put("enabled", plainNode(false))
	}
	m.text("jitter", s.Jitter)
	if s.Overlap() != OverlapSkip {
		m.text("overlap_policy", string(s.OverlapPolicy))
	}
	m.time("start_at", s.StartAt)
	m.time("end_at", s.EndAt)
	m.text("catchup_window", s.CatchupWindow)
	if s.PauseOnFailure {
		m.put("pause_on_failure", plainNode(true))
	}
	if s.Input != nil {
		m.put("input", plainNode(s.Input))
	}
	m.text("schedule_id", s.ScheduleID)
	if s.Adopt {
		m.put("adopt", plainNode(true))
	}
	return m.node()
}

// mapping is a YAML mapping in the order in which its keys were put.
type mapping struct{ content []*yaml.Node }

func (m *mapping) put(key string, value *yaml.Node) {
	m.content = append(m.content, quietText(key), value)
}

func (m *mapping) text(key, text string) {
	if text != "" {
		m.put(key, quietText(text))
	}
}

func (m *mapping) duration(key string, d time.Duration) {
	if d != 0 {
		m.text(key, DurationText(d))
	}
}

func (m *mapping) time(key string, t *time.Time) {
	if t != nil {
		// No quotes: the loader reads a date as the text that it is.
		m.put(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: t.Format(time.RFC3339Nano)})
	}
}

func (m *mapping) node() *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: m.content}
}

// quietText is quoted only where YAML would take it for something else.
func quietText(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

// quotedText is for cron, which people edit and which then may begin with a * or an @.
func quotedText(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle}
}

// plainNode is any JSON value. What cannot be encoded is caught when the text is read back.
func plainNode(v any) *yaml.Node {
	var n yaml.Node
	if err := n.Encode(v); err != nil {
		return quietText(fmt.Sprintf("unwritable: %v", err))
	}
	return &n
}

// commentLines are the comments as lines of YAML. What no YAML file may contain becomes the sign for that.
func commentLines(comments []string) []byte {
	var lines bytes.Buffer
	for _, comment := range comments {
		for line := range strings.FieldsFuncSeq(comment, isLineBreak) {
			line = strings.TrimRight("# "+strings.Map(printable, strings.ToValidUTF8(line, "\uFFFD")), " ")
			lines.WriteString(line + "\n")
		}
		if strings.TrimFunc(comment, isLineBreak) == "" {
			lines.WriteString("#\n")
		}
	}
	return lines.Bytes()
}
