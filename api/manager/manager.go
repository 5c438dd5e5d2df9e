// Package manager is the one Go type over a project's schedules at run time: writes are signals to the
// reconciler, answers about state are queries or Temporal's own. The REST API is a thin layer over it.
package manager

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// DefaultWriteBudget is how long a write waits for its outcome before it answers "accepted".
const DefaultWriteBudget = 5 * time.Second

// Options of a Manager.
type Options struct {
	Client client.Client
	// Server is Temporal's schedule service of the same namespace.
	Server *activities.Server
	// Project is the desired state at the start. SetProject replaces it.
	Project *config.Project
	Logger  *slog.Logger
	// WriteBudget defaults to DefaultWriteBudget.
	WriteBudget time.Duration
}

// Manager reads and steers the schedules of one project. It is safe for concurrent use. Run keeps its
// snapshot fresh.
type Manager struct {
	client client.Client
	server *activities.Server
	logger *slog.Logger
	budget time.Duration
	name   string

	mu      sync.RWMutex
	project *config.Project
	byID    map[string]config.Workflow

	snapshot snapshot
	applied  applied
	// What Stats knows beside the snapshot.
	statsMu  sync.Mutex
	status   workflows.Status
	answered bool
	nextHour nextHour
	// reconciled is true once the revision of this process's start has been applied.
	reconciled atomic.Bool
}

// New makes a Manager. Its list is empty until Run has read Temporal once.
func New(o Options) *Manager {
	m := &Manager{
		client: o.Client, server: o.Server, logger: o.Logger, budget: o.WriteBudget, name: o.Project.Name,
	}
	if m.budget == 0 {
		m.budget = DefaultWriteBudget
	}
	m.snapshot.init()
	m.applied.waiting = map[string]chan workflows.Outcome{}
	m.SetProject(o.Project)
	return m
}

// SetProject replaces the desired state that answers are compared with. A new revision is a reload,
// which reverts what was written before.
func (m *Manager) SetProject(project *config.Project) {
	byID := make(map[string]config.Workflow, len(project.Workflows))
	for _, w := range project.Scheduled() {
		byID[w.ID] = w
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.project != nil && m.project.Revision != project.Revision {
		m.snapshot.forget()
	}
	m.project, m.byID = project, byID
}

// scheduleID is Temporal's ID of a workflow's schedule.
func (m *Manager) scheduleID(workflowID string) string {
	_, byID := m.desired()
	w, ok := byID[workflowID]
	if !ok {
		w.ID = workflowID
	}
	return w.ScheduleID(m.name)
}

func (m *Manager) desired() (*config.Project, map[string]config.Workflow) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.project, m.byID
}
