package manager

import (
	"sync"

	"github.com/compozy/schedules/workflows"
)

// applied hands outcomes to the writes that wait for them, where the reconciler runs in this process.
type applied struct {
	mu      sync.Mutex
	waiting map[string]chan workflows.Outcome
}

// wait returns where the outcome of a request will come, if it comes. end must be called. Of several that wait for one
// request the last is told; the others ask.
func (a *applied) wait(requestID string) (outcome <-chan workflows.Outcome, end func()) {
	told := make(chan workflows.Outcome, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[requestID] = told
	return told, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.waiting[requestID] == told {
			delete(a.waiting, requestID)
		}
	}
}

// Applied is told a request that the reconciler of this process has applied: workflows.Observer. Who waits for it then
// needs not ask.
func (m *Manager) Applied(outcome workflows.Outcome) {
	m.applied.mu.Lock()
	defer m.applied.mu.Unlock()
	if told, ok := m.applied.waiting[outcome.RequestID]; ok {
		delete(m.applied.waiting, outcome.RequestID)
		told <- outcome
	}
}
