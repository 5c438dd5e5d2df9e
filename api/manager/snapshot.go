package manager

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

const (
	// refreshEvery is the pause between two reads of Temporal's list, for each page of it: the list of
	// a namespace is limited to ten pages a second in production, for all that read it
	// (docs/temporal.md, "Limits").
	refreshEvery = 5 * time.Second
	// listPage is how many schedules a page of Temporal's list has.
	listPage = 1000
	// ownFor is how long an own write outweighs a list that contradicts it: a list lags by 10 s at most
	// (docs/temporal.md, "The list lags").
	ownFor = 12 * time.Second
	// statusesAtOnce bounds the runs whose status is asked for in one refresh.
	statusesAtOnce = 50
)

// snapshot is the list of schedules as last read, corrected by own writes.
type snapshot struct {
	mu         sync.RWMutex
	entries    map[string]activities.Listed
	overrides  map[string]workflows.ActiveOverride
	writes     map[string]ownWrite
	ended      map[string]string // the status of runs that have ended, by run id
	observedAt time.Time
}

// ownWrite is what this process did to a schedule, until the list shows it.
type ownWrite struct {
	at      time.Time
	deleted bool
	paused  bool
	// override is what is in force since; nil after a revert.
	override *workflows.ActiveOverride
}

func (s *snapshot) init() {
	s.entries, s.overrides = map[string]activities.Listed{}, map[string]workflows.ActiveOverride{}
	s.writes, s.ended = map[string]ownWrite{}, map[string]string{}
}

// own remembers an own write that was applied; wanted is what the YAML says.
func (s *snapshot) own(o workflows.Override, wanted bool, at time.Time) {
	write := ownWrite{at: at, deleted: o.Action == workflows.ActionDelete}
	write.paused = o.Action == workflows.ActionPause || o.Action == workflows.ActionRevert && !wanted
	if o.Action != workflows.ActionRevert {
		write.override = &workflows.ActiveOverride{
			WorkflowID: o.WorkflowID, Action: o.Action, Actor: o.Actor, Reason: o.Reason, Since: at, Hold: o.Hold,
		}
		if o.ExpiresIn > 0 {
			write.override.ExpiresAt = at.Add(time.Duration(o.ExpiresIn))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes[o.WorkflowID] = write
}

// forget leaves the list alone to tell what is so, because a reload reverts own writes.
func (s *snapshot) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.writes)
}

func (s *snapshot) has(workflowID string) (known, ready bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, known = s.entries[workflowID]
	return known, !s.observedAt.IsZero()
}

// entry is a schedule as far as this process knows.
func (s *snapshot) entry(
	owner activities.Owner, scheduleID string, now time.Time,
) (entry activities.Listed, override *workflows.ActiveOverride, found bool) {
	workflowID := owner.WorkflowID
	entry, found = s.entries[workflowID]
	if o, ok := s.overrides[workflowID]; ok {
		override = &o
	}
	if write, ok := s.writes[workflowID]; ok && now.Sub(write.at) < ownFor {
		if !found { // written, so it is there and ours, though the list does not show it yet
			entry = activities.Listed{ScheduleID: scheduleID, Owner: owner}
		}
		entry.Paused, found, override = write.paused, !write.deleted, write.override
	}
	return entry, override, found
}

// replace takes a new list over. Own writes that it shows are forgotten.
func (s *snapshot) replace(entries map[string]activities.Listed, overrides map[string]workflows.ActiveOverride, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries, s.overrides, s.observedAt = entries, overrides, at
	maps.DeleteFunc(s.writes, func(id string, write ownWrite) bool {
		entry, found := entries[id]
		shown := found != write.deleted && (write.deleted || entry.Paused == write.paused)
		return shown || at.Sub(write.at) >= ownFor
	})
}

// Run keeps the snapshot fresh until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	failing := false
	for {
		pages, err := m.refresh(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			m.logger.Error("cannot read the list of schedules, trying again", "project", m.name, "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(pages) * refreshEvery):
		}
	}
}

// refresh reads Temporal's list and the reconciler's overrides once.
func (m *Manager) refresh(ctx context.Context) (pages int, err error) {
	m.readStatus(ctx)
	project, byID := m.desired()
	at := time.Now()
	listed, err := m.server.List(ctx, activities.Scope{Project: m.name, Also: project.NamedScheduleIDs(), NoSpecs: true})
	if err != nil {
		return 1, err
	}
	entries := byWorkflow(project, byID, listed)
	overrides, err := m.readOverrides(ctx)
	if err != nil {
		m.logger.Debug("reading the overrides", "project", m.name, "error", err)
		overrides = map[string]workflows.ActiveOverride{} // paused-versus-YAML still shows
	}
	m.resolve(ctx, entries)
	m.snapshot.replace(entries, overrides, at)
	return 1 + len(listed)/listPage, nil
}

// byWorkflow sorts a list: what the YAML wants, which may be somebody else's, and what else is ours.
func byWorkflow(
	project *config.Project, byID map[string]config.Workflow, listed []activities.Listed,
) map[string]activities.Listed {
	wanted := make(map[string]string, len(byID))
	for id, w := range byID {
		wanted[w.ScheduleID(project.Name)] = id
	}
	entries := make(map[string]activities.Listed, len(listed))
	for _, entry := range listed {
		if id, ok := wanted[entry.ScheduleID]; ok {
			entries[id] = entry
		} else if _, elsewhere := byID[entry.Owner.WorkflowID]; !elsewhere && entry.OwnedBy(project.Name) {
			entries[entry.Owner.WorkflowID] = entry
		}
	}
	return entries
}

func (m *Manager) readOverrides(ctx context.Context) (map[string]workflows.ActiveOverride, error) {
	all, err := workflows.AllOverrides(listPage, func(query workflows.OverridesQuery) (page workflows.OverridesPage, err error) {
		err = m.query(ctx, &page, workflows.QueryOverrides, query)
		return page, err
	})
	if err != nil {
		return nil, err
	}
	overrides := make(map[string]workflows.ActiveOverride, len(all))
	for _, o := range all {
		overrides[o.WorkflowID] = o
	}
	return overrides, nil
}

// resolve asks for the status of runs that the list calls running: a schedule looks at its last run
// only when it needs to. Statuses of ended runs are kept, so that each run is asked about until it ends.
func (m *Manager) resolve(ctx context.Context, entries map[string]activities.Listed) {
	ended := make(map[string]string, len(m.snapshot.ended))
	asked := 0
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[id]
		if entry.LastRun == nil || entry.LastRun.Status != activities.StatusRunning {
			continue
		}
		run := *entry.LastRun
		status, known := m.snapshot.ended[run.RunID]
		if !known && asked < statusesAtOnce {
			asked++
			var err error
			if status, err = m.server.CurrentStatus(ctx, run.WorkflowID); err != nil {
				return
			}
		}
		if status != "" && status != activities.StatusRunning {
			ended[run.RunID] = status
			run.Status = status
			entry.LastRun = &run
			entries[id] = entry
		}
	}
	m.snapshot.ended = ended
}
