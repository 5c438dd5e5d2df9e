package schedulestest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"golang.org/x/sync/errgroup"
)

// Kept is what stands against the files: an override that was accepted. Paused says whether the schedule is to be
// paused, whatever its file says; so the zero Kept is a resume of what the file pauses.
type Kept struct{ Paused, Deleted bool }

// Differences says in words where the schedules of a namespace are not what the files of dir and the overrides
// ask for. It has no line of code in common with what it checks. A list lags, so what is reported may be over a
// moment later: ask until nothing is left.
func Differences(ctx context.Context, c client.Client, dir string, kept map[string]Kept) ([]string, error) {
	project, err := readWanted(dir)
	if err != nil {
		return nil, err
	}
	owned, err := ownedSchedules(ctx, c, project.Name)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var found []string
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(8)
	for _, f := range project.files {
		ids := owned[f.ID]
		delete(owned, f.ID)
		work.Go(func() error {
			k, overridden := kept[f.ID]
			if !overridden {
				k.Paused = !f.Schedule.enabled()
			}
			differences, err := differencesOf(ctx, c, project, f, k, ids)
			mu.Lock()
			defer mu.Unlock()
			for _, d := range differences {
				found = append(found, f.ID+": "+d)
			}
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	for id, ids := range owned {
		found = append(found, fmt.Sprintf("%s: no file wants it, and Temporal has %v", id, ids))
	}
	slices.Sort(found)
	return found, nil
}

// ownedSchedules are the IDs of the project's schedules by workflow id, of all in the namespace.
func ownedSchedules(ctx context.Context, c client.Client, project string) (map[string][]string, error) {
	const smallPages = 100 // so that projects of tests have more than one
	entries, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: smallPages})
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	owned := map[string][]string{}
	for entries.HasNext() {
		entry, err := entries.Next()
		if err != nil {
			return nil, fmt.Errorf("list schedules: %w", err)
		}
		if id, ok := workflowOf(entry, project); ok {
			owned[id] = append(owned[id], entry.ID)
		}
	}
	return owned, nil
}

var markPattern = regexp.MustCompile(`^Adopted by compozy-schedules \(project (\S+), workflow (\S+)\)\. id:(\S+)$`)

// workflowOf is the workflow of the project that an entry belongs to: by its memo, or by the mark of an adoption.
func workflowOf(entry *client.ScheduleListEntry, project string) (id string, ok bool) {
	for _, calendar := range entry.Spec.Skip {
		m := markPattern.FindStringSubmatch(calendar.Comment)
		if len(m) > 0 && m[1] == project && m[3] == fmt.Sprintf("%x", sha256.Sum256([]byte(entry.ID)))[:12] {
			return m[2], true
		}
	}
	id = memoText(entry.Memo, "workflow_id")
	ok = memoText(entry.Memo, "managed_by") == "compozy-schedules" && memoText(entry.Memo, "project") == project &&
		entry.ID == cmp.Or(memoText(entry.Memo, "schedule_id"), "schedule-"+project+"-"+id)
	return id, ok
}

func memoText(memo *commonpb.Memo, field string) (text string) {
	_ = json.Unmarshal(memo.GetFields()[field].GetData(), &text) // what is no text is nobody's of ours
	return text
}

// differencesOf compares one workflow's schedule; ids are those of its schedules in the list.
func differencesOf(
	ctx context.Context, c client.Client, p wantedProject, f wantedFile, kept Kept, ids []string,
) ([]string, error) {
	id := f.scheduleID(p.Name)
	actual, err := Describe(ctx, c, id)
	_, gone := errors.AsType[*serviceerror.NotFound](err)
	switch {
	case gone && (kept.Deleted || f.Schedule.ended()):
		if len(ids) > 0 && kept.Deleted {
			return []string{fmt.Sprintf("deleted by an override, and the list has %v", ids)}, nil
		}
		return nil, nil
	case gone:
		return []string{"missing"}, nil
	case err != nil:
		return nil, fmt.Errorf("describe %s: %w", id, err)
	case kept.Deleted:
		return []string{"deleted by an override, and there"}, nil
	}
	if !slices.Equal(ids, []string{id}) {
		return []string{fmt.Sprintf("the list has %v, want %s once", ids, id)}, nil
	}
	if actual.Schedule.State.Paused != kept.Paused {
		return []string{fmt.Sprintf("paused is %v, want %v", actual.Schedule.State.Paused, kept.Paused)}, nil
	}
	return compare(p, f, actual)
}

// Each try of a describe may take twice as long as the one before.
const (
	describeTries   = 4
	describeTimeout = 2 * time.Second
)

// Describe asks again where a describe fails: the development server loses one now and then (docs/temporal.md, "Lost
// queries"), and a caller that gave up is not yet a difference. Its error may be a serviceerror.NotFound.
func Describe(ctx context.Context, c client.Client, id string) (actual *client.ScheduleDescription, err error) {
	for try := range describeTries {
		tryCtx, cancel := context.WithTimeout(ctx, describeTimeout<<try)
		actual, err = c.ScheduleClient().GetHandle(ctx, id).Describe(tryCtx)
		cancel()
		if _, gone := errors.AsType[*serviceerror.NotFound](err); err == nil || gone || ctx.Err() != nil {
			break
		}
	}
	return actual, err
}

var overlapNames = map[string]enumspb.ScheduleOverlapPolicy{
	"":                enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	"skip":            enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	"allow":           enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
	"buffer_one":      enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	"buffer_all":      enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	"cancel_other":    enumspb.SCHEDULE_OVERLAP_POLICY_CANCEL_OTHER,
	"terminate_other": enumspb.SCHEDULE_OVERLAP_POLICY_TERMINATE_OTHER,
}

// compare compares field by field what a run does and when.
func compare(p wantedProject, f wantedFile, actual *client.ScheduleDescription) ([]string, error) {
	s, spec, policy := f.Schedule, actual.Schedule.Spec, actual.Schedule.Policy
	action, ok := actual.Schedule.Action.(*client.ScheduleWorkflowAction)
	if !ok {
		return []string{"it starts no workflow"}, nil
	}
	wantInput, err := s.input()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.ID, err)
	}
	input, err := inputOf(action.Args)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.ID, err)
	}
	found, err := timesDiffer(s, actual.Info.NextActionTimes, time.Now())
	field := func(name, actual, want string) {
		if actual != want {
			found = append(found, fmt.Sprintf("%s is %q, want %q", name, actual, want))
		}
	}
	duration := func(name string, actual time.Duration, want, otherwise string) {
		d, wrong := time.ParseDuration(cmp.Or(want, otherwise))
		err = errors.Join(err, wrong)
		field(name, actual.String(), d.String())
	}
	field("workflow_type", fmt.Sprint(action.Workflow), cmp.Or(f.Temporal.WorkflowType, f.ID))
	field("task_queue", action.TaskQueue, cmp.Or(f.Temporal.TaskQueue, p.Temporal.TaskQueue, p.Name))
	field("workflow_id", action.ID, cmp.Or(f.Temporal.WorkflowID, p.Name+"-"+f.ID))
	field("input", input, wantInput)
	duration("execution_timeout", action.WorkflowExecutionTimeout, f.Temporal.ExecutionTimeout, "0s")
	duration("run_timeout", action.WorkflowRunTimeout, f.Temporal.RunTimeout, "0s")
	duration("task_timeout", action.WorkflowTaskTimeout, f.Temporal.TaskTimeout, "0s")
	field("timezone", cmp.Or(spec.TimeZoneName, "UTC"), s.zone())
	duration("jitter", spec.Jitter, s.Jitter, "0s")
	field("start_at", momentText(&spec.StartAt), momentText(s.StartAt))
	field("end_at", momentText(&spec.EndAt), momentText(s.EndAt))
	field("overlap_policy", policy.Overlap.String(), overlapNames[s.OverlapPolicy].String())
	duration("catchup_window", policy.CatchupWindow, s.CatchupWindow, "8760h") // the server's default: a year
	field("pause_on_failure", fmt.Sprint(policy.PauseOnFailure), fmt.Sprint(s.PauseOnFailure))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.ID, err)
	}
	return found, nil
}

// inputOf is the one argument of a run as JSON, in the order and the notation of Go's encoder.
func inputOf(arguments []any) (string, error) {
	if len(arguments) == 0 {
		return "", nil
	}
	payload, ok := arguments[0].(*commonpb.Payload)
	if !ok || len(arguments) > 1 {
		return fmt.Sprintf("%d arguments", len(arguments)), nil
	}
	var value any
	if err := json.Unmarshal(payload.GetData(), &value); err != nil {
		return "", fmt.Errorf("read the input in Temporal: %w", err)
	}
	text, err := json.Marshal(value)
	return string(text), err
}

func momentText(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// timesDiffer holds the next times of a describe, which ended at now, against the cron library's own.
func timesDiffer(s *wantedSchedule, times []time.Time, now time.Time) ([]string, error) {
	next, err := s.next()
	if err != nil {
		return nil, err
	}
	jitter, err := time.ParseDuration(cmp.Or(s.Jitter, "0s"))
	if err != nil {
		return nil, fmt.Errorf("read jitter: %w", err)
	}
	if s.StartAt != nil && s.StartAt.After(now) {
		now = s.StartAt.Add(-time.Second) // Temporal looks from one second earlier
	}
	// Times that have passed are in the answer where the schedule has not acted on them yet. So the first time
	// is any that the cron names, not later than the next one from now on; the others follow without a gap.
	latest := next(now)
	for _, t := range times {
		if nearClockChange(t.In(latest.Location())) {
			return nil, nil // there cron and Temporal differ, and nothing is promised
		}
		named := next(t.Add(-jitter - time.Second))
		if named.After(t) || t.After(latest.Add(jitter)) {
			return []string{fmt.Sprintf("a run at %s, want one at %s", t.UTC(), latest.UTC())}, nil
		}
		latest = next(t)
	}
	const full = 10 // as many times as a describe has
	if len(times) < full && (s.EndAt == nil || !latest.After(*s.EndAt)) {
		return []string{fmt.Sprintf("only %d runs, want one at %s", len(times), latest.UTC())}, nil
	}
	return nil, nil
}

func nearClockChange(t time.Time) bool {
	_, before := t.Add(-24 * time.Hour).Zone()
	_, after := t.Add(24 * time.Hour).Zone()
	return before != after
}
