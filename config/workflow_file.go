package config

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// workflowFile is a workflow with the places of its IDs, for the report of duplicates.
type workflowFile struct {
	Workflow
	id         value
	scheduleID value
}

// readWorkflowFile reads our keys of a workflow file and leaves all others alone.
func readWorkflowFile(doc *document, project projectFile) workflowFile {
	top := value{doc: doc, name: doc.name, node: doc.root}.open()
	w := workflowFile{Workflow: Workflow{File: doc.name}}
	w.ID, w.id = readID(top)
	w.Start = Start{WorkflowType: w.ID, TaskQueue: project.taskQueue}
	if v, ok := top.get("temporal"); ok {
		readStart(v, &w.Start)
	}
	if v, ok := top.get("schedule"); ok {
		w.Schedule = readSchedule(v, top)
		w.scheduleID = w.id
		if id, ok := v.open().get("schedule_id"); ok {
			w.scheduleID = id
		}
	}
	return w
}

func readID(top block) (string, value) {
	v, ok := top.get("id")
	if !ok {
		example := strings.TrimSuffix(path.Base(top.doc.name), path.Ext(top.doc.name))
		if !isSlug(example, "-_") {
			example = "daily-report"
		}
		top.doc.problem(top.node, "id is missing: add the workflow's id, such as id: %s", example)
		return "", v
	}
	id, ok := v.text()
	if !ok {
		return "", v
	}
	if err := idFault(id); err != nil {
		v.problem("%s", err)
		return "", v
	}
	return id, v
}

// fieldReader reads the keys of one of our blocks and remembers which were wrong, so that one
// mistake is reported once.
type fieldReader struct {
	block
	broken map[string]bool
}

// read hands the value of a key that is there to the reader.
func (f fieldReader) read(key string, reader func(value) bool) {
	if v, ok := f.get(key); ok && !reader(v) {
		f.broken[key] = true
	}
}

// report gives faults their place: the field, or the block where the field is missing.
func (f fieldReader) report(faults []fault) {
	for _, fault := range faults {
		if f.broken[fault.field] {
			continue
		}
		at, ok := f.get(fault.field)
		if !ok {
			at = f.value
		}
		at.problem("%s", fault.err)
	}
}

func readSchedule(v value, top block) *Schedule {
	b, ok := v.block("cron", "timezone", "enabled", "jitter", "overlap_policy", "start_at", "end_at",
		"catchup_window", "pause_on_failure", "input", "schedule_id", "adopt")
	if !ok {
		return nil
	}
	var s Schedule
	f := fieldReader{b, map[string]bool{}}
	f.read("cron", func(v value) (ok bool) { s.Cron, ok = v.text(); return })
	f.read("timezone", func(v value) (ok bool) { s.Timezone, ok = v.text(); return })
	f.read("enabled", func(v value) bool { on, ok := v.boolean(); s.Enabled = &on; return ok })
	f.read("jitter", func(v value) (ok bool) { s.Jitter, ok = v.durationText(); return })
	f.read("overlap_policy", func(v value) bool { text, ok := v.text(); s.OverlapPolicy = OverlapPolicy(text); return ok })
	f.read("start_at", func(v value) bool { return readTime(v, &s.StartAt) })
	f.read("end_at", func(v value) bool { return readTime(v, &s.EndAt) })
	f.read("catchup_window", func(v value) (ok bool) { s.CatchupWindow, ok = v.durationText(); return })
	f.read("pause_on_failure", func(v value) (ok bool) { s.PauseOnFailure, ok = v.boolean(); return })
	f.read("input", func(v value) (ok bool) { s.Input, ok = v.jsonObject(); return })
	f.read("schedule_id", func(v value) (ok bool) { s.ScheduleID, ok = v.text(); return ok && notEmpty(v, s.ScheduleID) })
	f.read("adopt", func(v value) (ok bool) { s.Adopt, ok = v.boolean(); return })
	f.report(scheduleFaults(s))
	if !f.broken["input"] {
		checkInput(top, b, s.Input)
	}
	return &s
}

func readTime(v value, into **time.Time) bool {
	t, ok := v.time()
	if ok {
		*into = &t
	}
	return ok
}

func readStart(v value, s *Start) {
	b, ok := v.block("workflow_type", "workflow_id", "task_queue", "execution_timeout", "run_timeout", "task_timeout", "retry",
		"memo", "search_attributes")
	if !ok {
		return
	}
	f := fieldReader{b, map[string]bool{}}
	f.read("workflow_type", func(v value) (ok bool) { s.WorkflowType, ok = v.text(); return })
	f.read("workflow_id", func(v value) (ok bool) { s.WorkflowID, ok = v.text(); return ok && notEmpty(v, s.WorkflowID) })
	f.read("task_queue", func(v value) (ok bool) { s.TaskQueue, ok = v.text(); return })
	f.read("execution_timeout", func(v value) (ok bool) { s.ExecutionTimeout, ok = v.duration(); return })
	f.read("run_timeout", func(v value) (ok bool) { s.RunTimeout, ok = v.duration(); return })
	f.read("task_timeout", func(v value) (ok bool) { s.TaskTimeout, ok = v.duration(); return })
	f.read("retry", func(v value) bool { s.Retry = readRetry(v); return s.Retry != nil })
	f.read("memo", func(v value) (ok bool) { s.Memo, ok = v.jsonObject(); return })
	f.read("search_attributes", func(v value) (ok bool) { s.SearchAttributes, ok = readSearchAttributes(v); return })
	// A default that comes from elsewhere, such as a missing id, is reported where it comes from.
	for _, key := range []string{"workflow_type", "task_queue"} {
		if _, ok := f.get(key); !ok {
			f.broken[key] = true
		}
	}
	f.report(startFaults(*s))
}

func readRetry(v value) *Retry {
	v.name = "temporal.retry"
	b, ok := v.block("initial_interval", "backoff_coefficient", "maximum_interval", "maximum_attempts",
		"non_retryable_error_types")
	if !ok {
		return nil
	}
	var r Retry
	f := fieldReader{b, map[string]bool{}}
	f.read("initial_interval", func(v value) (ok bool) { r.InitialInterval, ok = v.duration(); return })
	f.read("backoff_coefficient", func(v value) bool { return readCoefficient(v, &r) })
	f.read("maximum_interval", func(v value) (ok bool) { r.MaximumInterval, ok = v.duration(); return })
	f.read("maximum_attempts", func(v value) (ok bool) { r.MaximumAttempts, ok = v.count(); return })
	f.read("non_retryable_error_types", func(v value) (ok bool) { r.NonRetryableErrors, ok = v.texts(); return })
	f.report(retryFaults(r))
	return &r
}

// notEmpty refuses a written empty text, which would otherwise pass for the default.
func notEmpty(v value, text string) bool {
	if text == "" {
		v.problem("%s is empty: write a value, or remove the key", v.name)
	}
	return text != ""
}

// readCoefficient refuses a written 0, which would otherwise pass for Temporal's default.
func readCoefficient(v value, r *Retry) (ok bool) {
	if r.BackoffCoefficient, ok = v.number(); ok && r.BackoffCoefficient == 0 {
		v.problem("backoff_coefficient 0 is less than 1: write 1 for steady retries, or more")
		return false
	}
	return ok
}

// readSearchAttributes reads what Temporal can index: texts (times are texts in RFC 3339), numbers,
// true and false, and lists of texts, which become []string.
func readSearchAttributes(v value) (map[string]any, bool) {
	b, ok := v.mapping()
	if !ok {
		return nil, false
	}
	ok = v.onlyTextKeys()
	attributes := make(map[string]any, len(b.keys))
	for _, name := range slices.Sorted(maps.Keys(b.keys)) {
		entry := b.keys[name]
		entry.name = v.name + "." + name
		plain, valid := readSearchAttribute(entry)
		attributes[name], ok = plain, ok && valid
	}
	return attributes, ok
}

func readSearchAttribute(v value) (any, bool) {
	switch plain, ok := v.json(); plain.(type) {
	case []any:
		return v.texts()
	case map[string]any, nil:
		if ok {
			v.wrong("write text, a number, true, false or a list of texts")
		}
		return nil, false
	default:
		return plain, ok
	}
}
