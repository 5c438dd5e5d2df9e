package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/workflows"
)

const (
	// movesAtOnce is how many schedules are moved at once.
	movesAtOnce = 10
	// listSettles is how long a list may still show what was (docs/temporal.md, "The list lags").
	listSettles = 12 * time.Second
	// askEvery is the pause between two looks at a reconciler's status.
	askEvery = 200 * time.Millisecond
	// planAsks is how long a plan waits for the reconciler's answer.
	planAsks = 5 * time.Second
	// overridesInSignal bounds the payload of one signal.
	overridesInSignal = 500
	// namedTaken is how many conflicts an error names.
	namedTaken = 10
)

// Renaming gives a project another name: its schedules, their pauses and its overrides go over to the new
// one, without a run that is missed or doubled. It can be run again after any end, and goes on from there.
type Renaming struct {
	Client client.Client
	Server *activities.Server
	Logger *slog.Logger
	// From and To are the project's former and its new name.
	From, To string
	// Progress is told how far it is, each time that something is done. Optional.
	Progress func(RenameProgress)
}

// RenameProgress is how far a renaming is.
type RenameProgress struct {
	Done, Total int
	// WaitUntil is when the next step of those that wait is due; zero where none waits.
	WaitUntil time.Time
}

// RenamePlan is what a renaming would do.
type RenamePlan struct {
	Moves     []activities.Move          `json:"moves"`
	Overrides []workflows.ActiveOverride `json:"overrides"`
	// Unanswered is true where no worker runs the reconciler, so that its overrides are not known.
	Unanswered bool `json:"unanswered,omitempty"`
}

// Plan says what Run would do. It only reads.
func (r Renaming) Plan(ctx context.Context) (RenamePlan, error) {
	moves, err := r.check(ctx)
	if err != nil {
		return RenamePlan{}, err
	}
	askCtx, cancel := context.WithTimeout(ctx, planAsks)
	defer cancel()
	overrides, err := r.overrides(askCtx)
	return RenamePlan{Moves: moves, Overrides: overrides, Unanswered: err != nil}, nil
}

// Run renames. Its error says why it stopped; nothing is lost then.
func (r Renaming) Run(ctx context.Context) error {
	stop, err := r.workers()
	if err != nil {
		return err
	}
	defer stop()
	if _, err := r.check(ctx); err != nil {
		return err
	}
	// The new reconciler first: else it might make schedules of its own.
	if err := r.suspend(ctx, r.To, workflows.Rename{From: r.From}); err != nil {
		return err
	}
	if err := r.suspend(ctx, r.From, workflows.Rename{To: r.To}); err != nil {
		return err
	}
	if err := r.moveAll(ctx, time.Now()); err != nil {
		return err
	}
	return r.handOver(ctx)
}

// workers run both reconcilers, so that they take signals and answer whatever else is running.
func (r Renaming) workers() (stop func(), err error) {
	var stops []func()
	stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	for _, project := range []string{r.From, r.To} {
		w := newReconcilerWorker(Options{Client: r.Client, Server: r.Server}, project)
		if err := w.Start(); err != nil {
			stop()
			return nil, fmt.Errorf("start the worker of queue %s: %w", workflows.TaskQueue(project), err)
		}
		stops = append(stops, w.Stop)
	}
	return stop, nil
}

// check refuses a renaming that somebody else's schedules are in the way of, before anything is changed.
func (r Renaming) check(ctx context.Context) ([]activities.Move, error) {
	moves, err := r.Server.Moves(ctx, r.From, r.To)
	if err != nil {
		return nil, err
	}
	var taken []string
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(movesAtOnce)
	for _, move := range moves {
		group.Go(func() error {
			whose, err := r.Server.Taken(groupCtx, move)
			if whose != "" {
				mu.Lock()
				defer mu.Unlock()
				taken = append(taken, fmt.Sprintf("%s (%s)", move.NewID, whose))
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if len(moves) == 0 {
		if _, err := r.Client.DescribeWorkflowExecution(ctx, workflows.ReconcilerID(r.From), ""); isNotFound(err) {
			return nil, fmt.Errorf("project %s has no schedules and never had a reconciler: is the name right?", r.From)
		}
	}
	if len(taken) > 0 {
		slices.Sort(taken)
		return nil, fmt.Errorf("%d of the new schedule IDs are taken: %s; nothing was changed: delete those schedules, "+
			"or choose another name", len(taken), strings.Join(taken[:min(len(taken), namedTaken)], ", "))
	}
	return moves, nil
}

// suspend asks a reconciler to change nothing any more, and waits until nothing is under way.
func (r Renaming) suspend(ctx context.Context, project string, message workflows.Rename) error {
	told := false
	for {
		memo, err := r.memo(ctx, project)
		switch {
		case err != nil && ctx.Err() == nil:
			return err
		case memo == workflows.RenameMemo(message):
			return nil
		case !told:
			if err := r.signal(ctx, project, message); err != nil {
				return err
			}
			told = true
		}
		if err := sleep(ctx, askEvery); err != nil {
			return fmt.Errorf("wait for the reconciler of project %s to stop: %w", project, err)
		}
	}
}

// memo is what the reconciler's memo says of a renaming; empty where it says nothing.
func (r Renaming) memo(ctx context.Context, project string) (string, error) {
	description, err := r.Client.DescribeWorkflowExecution(ctx, workflows.ReconcilerID(project), "")
	switch {
	case isNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("look at the reconciler of project %s: %w", project, err)
	}
	info := description.GetWorkflowExecutionInfo()
	payload, ok := info.GetMemo().GetFields()[workflows.MemoRename]
	if !ok || info.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return "", nil
	}
	var text string
	err = converter.GetDefaultDataConverter().FromPayload(payload, &text)
	return text, err
}

func (r Renaming) signal(ctx context.Context, project string, message workflows.Rename) error {
	_, err := r.Client.SignalWithStartWorkflow(ctx, workflows.ReconcilerID(project), workflows.SignalRename, message,
		reconcilerOptions(project), workflows.ReconcilerType, workflows.Input{Project: project})
	if err != nil {
		return fmt.Errorf("tell the reconciler of project %s of the renaming: %w", project, err)
	}
	return nil
}

// overrides are those of the former name.
func (r Renaming) overrides(ctx context.Context) ([]workflows.ActiveOverride, error) {
	all, err := workflows.AllOverrides(overridesInSignal, func(query workflows.OverridesQuery) (workflows.OverridesPage, error) {
		return r.overridesPage(ctx, query)
	})
	if isNotFound(err) {
		return nil, nil // no reconciler was ever running
	}
	if err != nil {
		return nil, fmt.Errorf("ask the reconciler of project %s for its overrides: %w", r.From, err)
	}
	return all, nil
}

// overridesPage asks until there is an answer: a worker that was killed is asked in vain for some seconds.
func (r Renaming) overridesPage(ctx context.Context, query workflows.OverridesQuery) (page workflows.OverridesPage, err error) {
	for {
		tryCtx, cancel := context.WithTimeout(ctx, tellEvery)
		value, err := r.Client.QueryWorkflow(tryCtx, workflows.ReconcilerID(r.From), "", workflows.QueryOverrides, query)
		cancel()
		if err == nil {
			err = value.Get(&page)
			return page, err
		}
		if isNotFound(err) || ctx.Err() != nil {
			return page, err
		}
		if err := sleep(ctx, askEvery); err != nil {
			return page, err
		}
	}
}

// moveAll moves until a list that cannot be old any more shows nothing to move.
func (r Renaming) moveAll(ctx context.Context, since time.Time) error {
	total := 0
	for {
		listed := time.Now()
		moves, err := r.Server.Moves(ctx, r.From, r.To)
		if err != nil {
			return err
		}
		total = max(total, len(moves))
		if len(moves) == 0 && listed.Sub(since) >= listSettles {
			return nil
		}
		if err := r.moveRound(ctx, moves, total); err != nil {
			return err
		}
		// What was just done may not show in the list yet.
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

// moveRound moves some schedules to their end.
func (r Renaming) moveRound(ctx context.Context, moves []activities.Move, total int) error {
	var mu sync.Mutex
	progress := RenameProgress{Done: total - len(moves), Total: total}
	for len(moves) > 0 {
		var waiting []activities.Move
		progress.WaitUntil = time.Time{}
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(movesAtOnce)
		for _, move := range moves {
			group.Go(func() error {
				until, err := r.move(groupCtx, move)
				mu.Lock()
				defer mu.Unlock()
				if until.IsZero() {
					progress.Done++
				} else {
					waiting = append(waiting, move)
					if progress.WaitUntil.IsZero() || until.Before(progress.WaitUntil) {
						progress.WaitUntil = until
					}
				}
				r.tell(progress)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		moves = waiting
		if err := sleep(ctx, time.Until(progress.WaitUntil)); err != nil {
			return err
		}
	}
	return nil
}

func (r Renaming) tell(progress RenameProgress) {
	if r.Progress != nil {
		r.Progress(progress)
	}
}

// move goes on with one schedule for as long as there is something to do. It returns when to come back; zero
// where it is done.
func (r Renaming) move(ctx context.Context, move activities.Move) (until time.Time, err error) {
	for {
		done, at, err := r.Server.Move(ctx, move)
		switch {
		case done || err != nil:
			return time.Time{}, err
		case !at.IsZero():
			return at, nil
		}
	}
}

// handOver gives the new reconciler the overrides and lets it go on.
func (r Renaming) handOver(ctx context.Context) error {
	overrides, err := r.overrides(ctx)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(overrides, overridesInSignal) {
		if err := r.signal(ctx, r.To, workflows.Rename{From: r.From, Overrides: part}); err != nil {
			return err
		}
	}
	if err := r.signal(ctx, r.To, workflows.Rename{From: r.From, Done: true}); err != nil {
		return err
	}
	for {
		memo, err := r.memo(ctx, r.To)
		if err == nil && memo == "" {
			return r.signal(ctx, r.From, workflows.Rename{To: r.To, Done: true})
		}
		if err := sleep(ctx, askEvery); err != nil {
			return fmt.Errorf("wait for the reconciler of project %s to go on: %w", r.To, err)
		}
	}
}

func isNotFound(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return errors.New("stopped; run it again, it goes on where it stopped")
	case <-time.After(d):
		return nil
	}
}
