// Package activities holds all Temporal schedule I/O: list, plan, upsert, delete. What to change is
// decided by pure functions (Translate, Compare, MakePlan); when, by the reconciler workflow.
package activities

import (
	"fmt"

	"github.com/compozy/schedules/config"
)

// Activities run on the activity queue of one revision and know its desired state.
type Activities struct {
	server   *Server
	project  string
	revision string
	desired  []Desired
	byID     map[string]Desired
	plans    planCache
}

// New translates the project's desired state once. Its error is a project that config.Load would not
// have returned.
func New(server *Server, project *config.Project) (*Activities, error) {
	a := &Activities{
		server: server, project: project.Name, revision: config.Short(project.Revision),
		byID: map[string]Desired{},
	}
	for _, w := range project.Scheduled() {
		desired, err := Translate(project.Name, w)
		if err != nil {
			return nil, fmt.Errorf("translate project %s: %w", project.Name, err)
		}
		a.desired = append(a.desired, desired)
		a.byID[w.ID] = desired
	}
	return a, nil
}
