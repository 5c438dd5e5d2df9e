package activities

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"golang.org/x/sync/errgroup"
)

// MaxOperations is how many operations one answer of Diff holds, so that a payload stays far below
// Temporal's limit of 2 MiB.
const MaxOperations = 2000

// describers is how many describes of doubtful schedules are under way at once.
const describers = 10

// DiffInput asks for the next operations of a pass.
type DiffInput struct {
	Project  string   `json:"project"`
	Revision string   `json:"revision"`
	Kind     PassKind `json:"kind"`
	// Pass tells the passes of one reconciler apart.
	Pass string `json:"pass"`
	// After is the workflow id of the last operation that the pass already has; empty at its start.
	After string `json:"after,omitempty"`
	// Recent are writes that the list may not show yet.
	Recent []Write `json:"recent,omitempty"`
	// Overrides are in force: what they set is kept.
	Overrides map[string]OverrideAction `json:"overrides,omitempty"`
	// Reverts are workflow ids whose pause goes back to the YAML in this pass.
	Reverts []string `json:"reverts,omitempty"`
	// Suspects are workflow ids to describe whatever the list shows.
	Suspects []string `json:"suspects,omitempty"`
	// Correct puts hand edits back instead of reporting them.
	Correct bool `json:"correct,omitempty"`
	// Also are schedule IDs to list beside those with the project's prefix.
	Also []string `json:"also,omitempty"`
	// Whole lists the whole namespace, where no pass has ended yet: nobody knows which other IDs there are.
	Whole bool `json:"whole,omitempty"`
}

// DiffResult holds at most MaxOperations.
type DiffResult struct {
	Operations []Operation `json:"operations,omitempty"`
	// More is true where the pass has further operations, after the last of these.
	More     bool      `json:"more,omitempty"`
	Counts   Counts    `json:"counts"`
	Problems []Problem `json:"problems,omitempty"`
	// ProblemCount counts all problems; Problems holds at most MaxProblems of them.
	ProblemCount int `json:"problem_count,omitempty"`
	// ProblemKinds counts them by kind.
	ProblemKinds map[ProblemKind]int `json:"problem_kinds,omitempty"`
	// Drifted are the workflow ids with a hand edit that stays; at most MaxSuspects.
	Drifted []string `json:"drifted,omitempty"`
	// OtherIDs are the schedules whose ID is not the default, wanted or owned; the wanted come first.
	OtherIDs []Ref `json:"other_ids,omitempty"`
	// KeptAway are the workflow ids that the YAML wants and that an override deletes.
	KeptAway []string `json:"kept_away,omitempty"`
}

// MaxSuspects is how many schedules a pass describes only because they were found changed by hand before.
const MaxSuspects = 1000

// MaxProblems is how many problems an answer holds in full.
const MaxProblems = 100

// Diff lists the actual schedules, compares them with the desired ones and answers what to do. A list
// that fails or ends early is an error, never a short list.
func (a *Activities) Diff(ctx context.Context, in DiffInput) (DiffResult, error) {
	if err := a.check(in.Project, in.Revision); err != nil {
		return DiffResult{}, err
	}
	key := planKey{run: activity.GetInfo(ctx).WorkflowExecution.RunID, pass: in.Pass}
	plan, ok := a.plans.get(key)
	if in.After == "" || !ok {
		var err error
		if plan, err = a.plan(ctx, in); err != nil {
			return DiffResult{}, typed(err)
		}
	}
	result := answer(plan, in.After)
	if result.More {
		a.plans.put(key, plan)
	} else {
		a.plans.put(planKey{}, Plan{})
	}
	return result, nil
}

// answer cuts the part of a plan that follows the workflow id `after`.
func answer(plan Plan, after string) DiffResult {
	operations := plan.Operations
	for len(operations) > 0 && after != "" && operations[0].WorkflowID <= after {
		operations = operations[1:]
	}
	end := min(len(operations), MaxOperations)
	for end > 0 && end < len(operations) && operations[end].WorkflowID == operations[end-1].WorkflowID {
		end++ // a workflow whose schedule gets another ID has two
	}
	return DiffResult{
		Operations: operations[:end], More: end < len(operations), Counts: plan.Counts,
		Problems: plan.Problems[:min(len(plan.Problems), MaxProblems)], ProblemCount: len(plan.Problems),
		ProblemKinds: CountProblems(plan.Problems),
		Drifted:      plan.Drifted[:min(len(plan.Drifted), MaxSuspects)], OtherIDs: plan.OtherIDs,
		KeptAway: plan.KeptAway,
	}
}

// CountProblems counts problems by kind; nil for none.
func CountProblems(problems []Problem) map[ProblemKind]int {
	if len(problems) == 0 {
		return nil
	}
	kinds := map[ProblemKind]int{}
	for _, problem := range problems {
		kinds[problem.Kind]++
	}
	return kinds
}

// plan makes the plan of a pass, with heartbeats.
func (a *Activities) plan(ctx context.Context, in DiffInput) (Plan, error) {
	defer keepAlive(ctx, func(ctx context.Context) { activity.RecordHeartbeat(ctx) })()
	plan, _, err := a.planFor(ctx, Request{
		Project: a.project, Kind: in.Kind, Recent: in.Recent, Overrides: in.Overrides, Reverts: in.Reverts,
		Also: in.Also, Suspects: in.Suspects, Correct: in.Correct, Whole: in.Whole, Now: time.Now(),
	})
	return plan, err
}

// planFor lists, plans, describes what the list could not decide, and plans again. A reconciler that knows no
// history lists the whole namespace, where it may have adopted schedules of any ID; others list the
// project's prefix, what the YAML names, and what else was the project's.
func (a *Activities) planFor(ctx context.Context, request Request) (Plan, Actual, error) {
	scope := Scope{Project: a.project, Also: slices.Concat(request.Also, a.namedIDs), Whole: request.Whole || request.Kind == PassStart}
	entries, err := a.server.List(ctx, scope)
	if err != nil {
		return Plan{}, Actual{}, err
	}
	actual := Actual{Listed: entries}
	plan := MakePlan(request, a.desired, actual)
	if len(plan.Doubtful) == 0 {
		return plan, actual, nil
	}
	if actual.Described, err = a.describeAll(ctx, plan.Doubtful); err != nil {
		return Plan{}, Actual{}, err
	}
	return MakePlan(request, a.desired, actual), actual, nil
}

func (a *Activities) describeAll(ctx context.Context, ids []string) (map[string]Described, error) {
	described := make(map[string]Described, len(ids))
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(describers)
	for _, id := range ids {
		group.Go(func() error {
			current, _, err := a.server.current(ctx, id)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			described[id] = current
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return described, nil
}

// check refuses work for another revision than the one that this worker has loaded: it would write
// the wrong schedules.
func (a *Activities) check(project, revision string) error {
	if project == a.project && revision == a.revision {
		return nil
	}
	return nonRetryable("WrongRevision", fmt.Errorf(
		"this worker has revision %s of project %s, not revision %s of project %s",
		a.revision, a.project, revision, project))
}

// planCache keeps the plan of the pass under way, so that a pass with more operations than one answer
// holds lists once. Losing it costs one more list.
type planCache struct {
	mu   sync.Mutex
	key  planKey
	plan Plan
}

type planKey struct{ run, pass string }

func (c *planCache) get(key planKey) (Plan, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plan, key == c.key
}

func (c *planCache) put(key planKey, plan Plan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key, c.plan = key, plan
}
