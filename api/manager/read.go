package manager

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

const (
	defaultPageSize = 100
	maxPageSize     = 1000
	defaultRunsPage = 20
	maxRunsPage     = 100
	// overrideFilter is the state filter that keeps schedules with an override.
	overrideFilter = "override"
)

// ListSchedules answers from the snapshot, in order of workflow ids.
func (m *Manager) ListSchedules(_ context.Context, options ListOptions) (ListResult, error) {
	if err := options.check(); err != nil {
		return ListResult{}, err
	}
	after, err := base64.RawURLEncoding.DecodeString(options.PageToken)
	if err != nil {
		return ListResult{}, fmt.Errorf("%w: page_token is not one of ours: leave it out to start anew", ErrInvalid)
	}
	size := options.PageSize
	if size == 0 {
		size = defaultPageSize
	}
	all, observedAt := m.all(time.Now())
	if observedAt.IsZero() {
		return ListResult{}, fmt.Errorf("%w: Temporal's list has not been read yet", ErrUnavailable)
	}
	result := ListResult{Schedules: []ScheduleInfo{}, ObservedAt: observedAt}
	for _, info := range all {
		if !options.keeps(info) {
			continue
		}
		result.Total++
		switch {
		case info.WorkflowID <= string(after):
		case len(result.Schedules) < size:
			result.Schedules = append(result.Schedules, info)
		case result.NextPageToken == "":
			result.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(result.Schedules[size-1].WorkflowID))
		}
	}
	return result, nil
}

func (o ListOptions) check() error {
	states := []string{"", string(StateActive), string(StatePaused), string(StateDeleted), string(StateMissing),
		string(StateEnded), string(StateConflict), overrideFilter}
	switch {
	case !slices.Contains(states, o.State):
		return fmt.Errorf("%w: unknown status %q: use one of %v", ErrInvalid, o.State, states[1:])
	case o.PageSize < 0 || o.PageSize > maxPageSize:
		return fmt.Errorf("%w: page_size must be 1 to %d", ErrInvalid, maxPageSize)
	}
	return nil
}

func (o ListOptions) keeps(info ScheduleInfo) bool {
	return o.State == "" || o.State == string(info.State) || o.State == overrideFilter && info.IsOverride
}

// all renders every schedule that the YAML or Temporal has.
func (m *Manager) all(now time.Time) ([]ScheduleInfo, time.Time) {
	_, byID := m.desired()
	m.snapshot.mu.RLock()
	defer m.snapshot.mu.RUnlock()
	ids := make(map[string]bool, len(byID))
	for id := range byID {
		ids[id] = true
	}
	for id, entry := range m.snapshot.entries {
		if entry.OwnedBy(m.name) {
			ids[id] = true
		}
	}
	infos := make([]ScheduleInfo, 0, len(ids))
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		entry, override, found := m.snapshot.entry(m.owner(id), m.scheduleID(id), now)
		infos = append(infos, render(m.name, id, workflowOf(byID, id), view{listed: entry, found: found, override: override}, now))
	}
	return infos, m.snapshot.observedAt
}

// shown is one schedule of the snapshot.
func (m *Manager) shown(workflowID string, now time.Time) (ScheduleInfo, bool) {
	_, byID := m.desired()
	m.snapshot.mu.RLock()
	defer m.snapshot.mu.RUnlock()
	entry, override, found := m.snapshot.entry(m.owner(workflowID), m.scheduleID(workflowID), now)
	w := workflowOf(byID, workflowID)
	if !found && w == nil {
		return ScheduleInfo{}, false
	}
	return render(m.name, workflowID, w, view{listed: entry, found: found, override: override}, now), true
}

func workflowOf(byID map[string]config.Workflow, id string) *config.Workflow {
	if w, ok := byID[id]; ok {
		return &w
	}
	return nil
}

// GetSchedule asks Temporal for one schedule as it is now, and the reconciler for its override.
func (m *Manager) GetSchedule(ctx context.Context, workflowID string) (ScheduleInfo, error) {
	_, byID := m.desired()
	w := workflowOf(byID, workflowID)
	if err := m.exists(workflowID); err != nil {
		return ScheduleInfo{}, err
	}
	defer m.server.Urgent()()
	var override *workflows.ActiveOverride
	var asking sync.WaitGroup
	asking.Go(func() { override = m.overrideOf(ctx, workflowID) })
	detail, err := activities.Ask(ctx, func(ctx context.Context) (activities.Detail, error) {
		return m.server.Describe(ctx, m.scheduleID(workflowID))
	})
	asking.Wait()
	if err != nil {
		return ScheduleInfo{}, explain("describe the schedule of workflow "+workflowID, err)
	}
	if detail.Missing && w == nil {
		return ScheduleInfo{}, fmt.Errorf("%w: project %s has no schedule of a workflow %q", ErrNotFound, m.name, workflowID)
	}
	v := view{listed: listedOf(m.scheduleID(workflowID), detail), found: !detail.Missing, override: override}
	if err := m.resolveRun(ctx, v.listed.LastRun); err != nil {
		return ScheduleInfo{}, err
	}
	info := render(m.name, workflowID, w, v, time.Now())
	info.NextRunTimes = detail.NextRuns
	if w != nil && !detail.Missing && detail.Owner.Project == m.name {
		if info.Divergence, err = divergence(m.name, *w, detail); err != nil {
			return ScheduleInfo{}, err
		}
	}
	return info, nil
}

// overrideOf is nil where there is none or the reconciler does not answer: Temporal's own state still
// shows that there is an override.
func (m *Manager) overrideOf(ctx context.Context, workflowID string) *workflows.ActiveOverride {
	var page workflows.OverridesPage
	err := m.query(ctx, &page, workflows.QueryOverrides, workflows.OverridesQuery{WorkflowID: workflowID})
	if err != nil || len(page.Overrides) == 0 {
		return nil
	}
	return &page.Overrides[0]
}

func (m *Manager) resolveRun(ctx context.Context, run *activities.LastRun) error {
	if run == nil || run.Status != activities.StatusRunning {
		return nil
	}
	status, err := m.server.CurrentStatus(ctx, run.WorkflowID)
	if err != nil {
		return explain("ask for the last run", err)
	}
	if status != "" {
		run.Status = status
	}
	return nil
}

func (m *Manager) owner(workflowID string) activities.Owner {
	return activities.Owner{Project: m.name, WorkflowID: workflowID}
}

func listedOf(scheduleID string, detail activities.Detail) activities.Listed {
	return activities.Listed{
		ScheduleID: scheduleID, Owner: detail.Owner,
		Paused: detail.Schedule.GetState().GetPaused(), Note: detail.Schedule.GetState().GetNotes(),
		NextRuns: detail.NextRuns, LastRun: detail.LastRun,
	}
}

// divergence lists every field in which Temporal differs from the YAML.
func divergence(project string, w config.Workflow, detail activities.Detail) ([]activities.Difference, error) {
	desired, err := activities.Translate(project, w)
	if err != nil {
		return nil, err
	}
	differences := activities.Compare(desired.Schedule(), detail.Schedule)
	if enabled := !detail.Schedule.GetState().GetPaused(); enabled != desired.Enabled {
		differences = append(differences, activities.Difference{
			Field: "enabled", YAML: strconv.FormatBool(desired.Enabled), Actual: strconv.FormatBool(enabled),
		})
	}
	return differences, nil
}

// ListRuns asks Temporal for the runs of a schedule, newest first.
func (m *Manager) ListRuns(ctx context.Context, workflowID string, options RunsOptions) (RunsResult, error) {
	if err := m.exists(workflowID); err != nil {
		return RunsResult{}, err
	}
	if options.PageSize < 0 || options.PageSize > maxRunsPage {
		return RunsResult{}, fmt.Errorf("%w: page_size must be 1 to %d", ErrInvalid, maxRunsPage)
	}
	if options.PageSize == 0 {
		options.PageSize = defaultRunsPage
	}
	token, err := base64.RawURLEncoding.DecodeString(options.PageToken)
	if err != nil {
		return RunsResult{}, fmt.Errorf("%w: page_token is not one of ours: leave it out to start anew", ErrInvalid)
	}
	executions, next, err := m.server.Runs(ctx, m.scheduleID(workflowID), options.PageSize, token)
	if err != nil {
		return RunsResult{}, explain("list the runs of workflow "+workflowID, err)
	}
	result := RunsResult{Runs: make([]RunInfo, len(executions)), NextPageToken: base64.RawURLEncoding.EncodeToString(next)}
	for i, e := range executions {
		result.Runs[i] = RunInfo{
			WorkflowID: e.WorkflowID, RunID: e.RunID, Status: e.Status, StartTime: e.StartTime,
			ScheduledTime: some(e.ScheduledTime), CloseTime: some(e.CloseTime),
		}
	}
	return result, nil
}

// some is nil for the zero time.
func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
