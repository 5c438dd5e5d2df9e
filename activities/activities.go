// Package activities holds all Temporal schedule I/O: list, plan, upsert, delete. What to change is
// decided by pure functions (Translate, Compare, MakePlan); when, by the reconciler workflow.
package activities

import (
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"github.com/compozy/schedules/config"
)

// Activities run on the activity queue of one revision and know its desired state.
type Activities struct {
	server   *Server
	project  string
	revision string
	// revisionMemo is the revision as the runs' memo has it.
	revisionMemo *commonpb.Payload
	namedIDs     []string
	desired      []Desired
	byID         map[string]Desired
	plans        planCache
}

// New translates the project's desired state once. Its error is a project that config.Load would not
// have returned.
func New(server *Server, project *config.Project) (*Activities, error) {
	a := &Activities{
		server: server, project: project.Name, revision: config.Short(project.Revision),
		namedIDs: project.NamedScheduleIDs(), byID: map[string]Desired{},
	}
	var err error
	if a.revisionMemo, err = converter.GetDefaultDataConverter().ToPayload(a.revision); err != nil {
		return nil, fmt.Errorf("encode the revision of project %s: %w", project.Name, err)
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
