// Package worker is the running process: it connects, polls the reconciler's queue and the loaded
// revision's, tells the reconciler its revision, watches the project's files and stops cleanly.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

const (
	// stopTimeout is how long a stopping worker waits for its activities. Batches end between two
	// operations, so this is some calls' time.
	stopTimeout = 10 * time.Second
	// superviseEvery is how often the process makes sure that the reconciler is running.
	superviseEvery = 30 * time.Second
	// reconcilerPollers keep one waiting while others hand their task over: a message that finds none is
	// written to the database first.
	reconcilerPollers = 5
	// tellEvery is the pause between two tries to reach the reconciler.
	tellEvery = 2 * time.Second
)

// Options of a process.
type Options struct {
	Client client.Client
	// Server is Temporal's schedule service of the client's namespace. See NewServer.
	Server   *activities.Server
	Settings config.Settings
	Logger   *slog.Logger
	// Observer is told the passes that run in this process. Optional.
	Observer workflows.Observer
	// OnRevision is told each project that takes effect, the first one too. Optional.
	OnRevision func(*config.Project)
}

// process is one worker process of one project.
type process struct {
	Options
	project *config.Project
	// revision polls the activity queue of the loaded revision.
	revision sdkworker.Worker
	// invalid is true while the files are not what is in force.
	invalid bool
}

// NewServer makes the schedule service that one process calls, within its rate limit.
func NewServer(c client.Client, namespace, project string, settings config.Settings) *activities.Server {
	limiter := rate.NewLimiter(rate.Limit(settings.TemporalRPS), burst(settings.TemporalRPS))
	return activities.NewServer(c.WorkflowService(), namespace, identity(project), limiter)
}

// Run serves the project until ctx ends. reload asks it to read the files again, as SIGHUP does. The
// project must have been loaded by the caller: a process never starts with invalid files. With the
// setting worker off it only follows the files.
func Run(ctx context.Context, options Options, project *config.Project, reload <-chan struct{}) error {
	p := &process{Options: options}
	if options.Settings.Worker {
		reconciler := newReconcilerWorker(options, project.Name)
		if err := reconciler.Start(); err != nil {
			return fmt.Errorf("start the worker of queue %s: %w", workflows.TaskQueue(project.Name), err)
		}
		defer reconciler.Stop()
		defer p.stopRevision()
	}
	if err := p.publish(ctx, project); err != nil {
		return ignoreEnd(ctx, err)
	}
	return ignoreEnd(ctx, p.loop(ctx, reload))
}

// identity is what Temporal shows as the writer of our schedules.
func identity(project string) string { return "compozy-schedules:" + project }

// burst lets a pool of ten start at once, whatever the rate.
func burst(perSecond float64) int { return max(10, int(perSecond/10)) }

// ignoreEnd turns the end of ctx, which is how a process is asked to stop, into success.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// loop handles what happens to a serving process: changed files, SIGHUP, a lost reconciler.
func (p *process) loop(ctx context.Context, reload <-chan struct{}) error {
	changed := make(chan struct{}, 1)
	if p.Settings.Watch {
		watcher, err := newWatcher(p.Settings.Project, p.Logger)
		if err != nil {
			return err
		}
		defer watcher.close()
		// Between the first reading and the watching files may have changed: that can be long, where Temporal was away.
		changed <- struct{}{}
		go watcher.run(ctx, changed)
	}
	supervise := time.NewTicker(superviseEvery)
	defer supervise.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
			err = p.reload(ctx, false)
		case <-reload:
			p.Logger.Info("asked to read the files again", "project", p.project.Name)
			err = p.reload(ctx, true)
		case <-supervise.C:
			err = p.supervise(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// reload reads the files again. A valid change takes effect; an invalid one is logged in full and the
// last good revision stays.
func (p *process) reload(ctx context.Context, asked bool) error {
	project, err := config.Load(p.Settings.Project)
	wasInvalid := p.invalid
	p.invalid = err != nil
	switch {
	case err != nil:
		LogInvalid(p.Logger, err)
		p.Logger.Error("the files are invalid: the last good revision stays in force",
			"project", p.project.Name, "revision", config.Short(p.project.Revision))
		return nil
	case project.Name != p.project.Name:
		p.Logger.Error("the project's name changed: restart the process to serve another project; the last good revision stays in force",
			"project", p.project.Name, "new_name", project.Name)
		return nil
	case project.Revision != p.project.Revision:
		return p.publish(ctx, project)
	case asked && p.Settings.Worker:
		return p.tell(ctx, project)
	case wasInvalid:
		p.Logger.Warn("the files are valid again and say what is in force", "project", project.Name,
			"revision", config.Short(project.Revision))
	}
	return nil
}

// LogInvalid logs each problem of a project's files by itself.
func LogInvalid(logger *slog.Logger, err error) {
	problems, ok := err.(config.Problems) //nolint:errorlint // Load returns it bare
	if !ok {
		logger.Error("cannot read the project", "error", err)
		return
	}
	for _, problem := range problems {
		logger.Error("invalid file", "at", fmt.Sprintf("%s:%d:%d", problem.File, problem.Line, problem.Column),
			"problem", problem.Message)
	}
}

// publish makes a revision take effect: its worker first, so that the reconciler finds one; then the
// reconciler is told; then the former revision's worker goes.
func (p *process) publish(ctx context.Context, project *config.Project) error {
	if p.OnRevision != nil {
		p.OnRevision(project)
	}
	if !p.Settings.Worker {
		p.project = project
		return nil
	}
	former := p.revision
	worker, err := p.startRevision(project)
	if err != nil {
		return err
	}
	p.project, p.revision = project, worker
	err = p.tell(ctx, project)
	if former != nil {
		former.Stop()
	}
	return err
}

func (p *process) stopRevision() {
	if p.revision != nil {
		p.revision.Stop()
	}
}

// tell starts the reconciler if there is none, and tells it the revision. It tries until Temporal
// answers.
func (p *process) tell(ctx context.Context, project *config.Project) error {
	message := workflows.Reload{
		Revision:   config.Short(project.Revision),
		Generation: p.Settings.Generation,
		Options: &workflows.Options{
			ResyncInterval:  config.Duration(p.Settings.ResyncInterval),
			MaxPrunePercent: p.Settings.MaxPrune,
			Drift:           p.Settings.Drift,
			AuditInterval:   config.Duration(p.Settings.AuditInterval),
		},
	}
	err := until(ctx, tellEvery, func(ctx context.Context) error {
		return SignalReload(ctx, p.Client, project.Name, message)
	}, func(err error) {
		p.Logger.Error("cannot reach the reconciler, trying again", "project", project.Name, "error", err)
	})
	if err != nil {
		return fmt.Errorf("tell the reconciler of project %s its revision: %w", project.Name, err)
	}
	p.Logger.Info("told the reconciler the revision", "project", project.Name, "revision", message.Revision,
		"schedules", len(project.Scheduled()))
	return nil
}

// SignalReload sends a reload to the project's reconciler, which it starts where there is none.
func SignalReload(ctx context.Context, c client.Client, project string, message workflows.Reload) error {
	_, err := c.SignalWithStartWorkflow(ctx, workflows.ReconcilerID(project), workflows.SignalReload, message,
		reconcilerOptions(project), workflows.ReconcilerType, workflows.Input{Project: project})
	return err
}

func reconcilerOptions(project string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		TaskQueue:             workflows.TaskQueue(project),
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         fmt.Sprintf("Keeps the schedules of project %s equal to its YAML", project),
		Memo:                  map[string]any{"project": project},
	}
}

// supervise brings the reconciler back if somebody ended or deleted it.
func (p *process) supervise(ctx context.Context) error {
	if !p.Settings.Worker {
		return nil
	}
	description, err := p.Client.DescribeWorkflowExecution(ctx, workflows.ReconcilerID(p.project.Name), "")
	if _, deleted := errors.AsType[*serviceerror.NotFound](err); err != nil && !deleted {
		if ctx.Err() == nil {
			p.Logger.Warn("cannot see whether the reconciler is running", "project", p.project.Name, "error", err)
		}
		return ctx.Err()
	}
	status := description.GetWorkflowExecutionInfo().GetStatus()
	if status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return nil
	}
	p.Logger.Warn("the reconciler was ended: starting it again", "project", p.project.Name, "status", status.String())
	return p.tell(ctx, p.project)
}

func newReconcilerWorker(options Options, project string) sdkworker.Worker {
	runtime := activities.NewRuntime(options.Server, project)
	w := sdkworker.New(options.Client, workflows.TaskQueue(project), sdkworker.Options{
		WorkerStopTimeout:                stopTimeout,
		MaxConcurrentWorkflowTaskPollers: reconcilerPollers,
		DisableRegistrationAliasing:      true,
	})
	w.RegisterWorkflowWithOptions(workflows.Observed(options.Observer), workflow.RegisterOptions{Name: workflows.ReconcilerType})
	w.RegisterActivityWithOptions(runtime.Override, activity.RegisterOptions{Name: "Override"})
	w.RegisterActivityWithOptions(runtime.Run, activity.RegisterOptions{Name: "Run"})
	return w
}

func (p *process) startRevision(project *config.Project) (sdkworker.Worker, error) {
	a, err := activities.New(p.Server, project)
	if err != nil {
		return nil, err
	}
	queue := workflows.RevisionQueue(project.Name, project.Revision)
	w := sdkworker.New(p.Client, queue, sdkworker.Options{
		DisableWorkflowWorker: true,
		WorkerStopTimeout:     stopTimeout,
	})
	w.RegisterActivityWithOptions(a.Diff, activity.RegisterOptions{Name: "Diff"})
	w.RegisterActivityWithOptions(a.Upsert, activity.RegisterOptions{Name: "Upsert"})
	w.RegisterActivityWithOptions(a.Delete, activity.RegisterOptions{Name: "Delete"})
	w.RegisterActivityWithOptions(a.Audit, activity.RegisterOptions{Name: "Audit"})
	if err := w.Start(); err != nil {
		return nil, fmt.Errorf("start the worker of queue %s: %w", queue, err)
	}
	return w, nil
}
