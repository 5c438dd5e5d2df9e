package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"golang.org/x/time/rate"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// devDirectory holds the development server's state, below the project directory.
const devDirectory = ".schedules"

// devOptions are the flags that only `dev` has.
type devOptions struct {
	port, uiPort int
	standIn      bool
}

func newDev(env Environment) *cobra.Command {
	var options devOptions
	command := &cobra.Command{
		Use:   "dev",
		Short: "Try a project: a Temporal server, the reconciler and a stand-in worker in one process",
		Long: "Try a project: starts Temporal's development server, the reconciler's worker and a stand-in worker\n" +
			"that accepts any workflow type, and ends all of them with Ctrl-C. The server's state stays in\n" +
			".schedules/ below the project directory; delete that directory to start anew.",
		Args: cobra.NoArgs,
	}
	config.AddFlags(command.Flags())
	command.Flags().IntVar(&options.port, "port", 7233, "port of the Temporal server")
	command.Flags().IntVar(&options.uiPort, "ui-port", 8233, "port of the Temporal UI")
	command.Flags().BoolVar(&options.standIn, "stand-in", true, "complete runs with a stand-in worker; false where your own is running")
	command.RunE = func(command *cobra.Command, _ []string) error {
		settings, err := config.LoadSettings(command.Flags(), env.Environ)
		if err != nil {
			return err
		}
		if !command.Flags().Changed("log-level") {
			settings.LogLevel = "warn" // what `dev` prints by itself is enough
		}
		return dev(env, settings, options)
	}
	return command
}

func dev(env Environment, settings config.Settings, options devOptions) error {
	project, err := config.Load(settings.Project)
	if err != nil {
		return err
	}
	binary, err := findTemporal(env.Context, env)
	if err != nil {
		return err
	}
	dir, err := makeDevDirectory(project)
	if err != nil {
		return err
	}
	server, err := startDevServer(binary, dir, options.port, options.uiPort)
	if err != nil {
		return err
	}
	defer server.stop()
	ctx, cancel := context.WithCancel(env.Context)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		<-server.exited
		if ctx.Err() == nil {
			ended <- server.failure()
			cancel()
		}
	}()
	fmt.Fprintf(env.Err, "starting Temporal (%s) …\n", binary)
	err = devSession(ctx, env, settings, options, project)
	select {
	case failure := <-ended:
		return failure
	default:
		return err
	}
}

// makeDevDirectory makes the directory of the server's state; git ignores it.
func makeDevDirectory(project *config.Project) (string, error) {
	dir := filepath.Join(project.Dir, devDirectory)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the directory of the development server: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o644); err != nil {
		return "", fmt.Errorf("make the directory of the development server: %w", err)
	}
	return dir, nil
}

// devSession runs everything but the server until ctx ends.
func devSession(ctx context.Context, env Environment, settings config.Settings, options devOptions, project *config.Project) error {
	logger, err := newLogger(env, settings)
	if err != nil {
		return err
	}
	// Not TEMPORAL_*: those are for another Temporal, perhaps with TLS and a key.
	temporal := client.Options{
		HostPort: "127.0.0.1:" + strconv.Itoa(options.port), Namespace: client.DefaultNamespace,
		Logger: sdkLogger(logger),
	}
	c, err := connectQuietly(ctx, temporal)
	if err != nil {
		return ignoreStop(ctx, err)
	}
	defer c.Close()
	standIn := newStandIn(c)
	defer standIn.stop()

	revisions := make(chan *config.Project, 1)
	done := make(chan error, 1)
	go func() {
		done <- process{
			temporal: temporal, settings: settings, logger: logger, hangup: env.Hangup,
			onRevision: func(project *config.Project) { replace(revisions, project) },
		}.run(ctx, project)
	}()
	d := devView{env: env, client: c, options: options, standIn: standIn, settings: settings}
	for {
		select {
		case err := <-done:
			return err
		case project := <-revisions:
			if err := d.show(ctx, project); err != nil && ctx.Err() == nil {
				fmt.Fprintln(env.Err, "schedules: "+err.Error())
			}
		}
	}
}

// replace puts the newest project into a channel of one.
func replace(revisions chan *config.Project, project *config.Project) {
	for {
		select {
		case revisions <- project:
			return
		default:
		}
		select {
		case <-revisions:
		default:
		}
	}
}

// connectQuietly waits for our own server, whose refusals while it starts are no news.
func connectQuietly(ctx context.Context, options client.Options) (client.Client, error) {
	for {
		c, err := client.DialContext(ctx, options)
		if err == nil {
			return c, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// devView shows a person what `dev` does.
type devView struct {
	env      Environment
	client   client.Client
	options  devOptions
	settings config.Settings
	standIn  *standIn
	shown    bool
}

// show waits until a revision is in sync and prints its schedules.
func (d *devView) show(ctx context.Context, project *config.Project) error {
	if d.options.standIn {
		if err := d.standIn.serve(project); err != nil {
			return err
		}
	}
	status, err := d.waitForPass(ctx, project)
	if err != nil {
		return err
	}
	if err := d.printSchedules(ctx, project); err != nil {
		return err
	}
	fmt.Fprintf(d.env.Out, "revision %s: %s\n", status.Revision, phaseWords(status.Phase))
	if status.Message != "" {
		fmt.Fprintln(d.env.Out, status.Message)
	}
	for _, problem := range status.Problems {
		fmt.Fprintf(d.env.Out, "%s: %s: %s\n", problem.WorkflowID, problem.Kind, problem.Message)
	}
	if !d.shown {
		d.shown = true
		d.printAddresses(project)
	}
	return nil
}

// waitForPass shows progress until the reconciler has finished a pass of the project's revision.
func (d *devView) waitForPass(ctx context.Context, project *config.Project) (workflows.Status, error) {
	revision := config.Short(project.Revision)
	last := ""
	for {
		queryCtx, cancel := context.WithTimeout(ctx, statusTimeout)
		status, err := askStatus(queryCtx, d.client, project.Name)
		cancel()
		if err == nil && status.Revision == revision && status.Phase != workflows.PhaseReconciling &&
			status.LastPass != nil && status.LastPass.Revision == revision {
			return status, nil
		}
		if now := fmt.Sprintf("reconciling revision %s (%s) …", revision, plural(len(project.Scheduled()), "schedule")); now != last {
			fmt.Fprintln(d.env.Err, now)
			last = now
		}
		select {
		case <-ctx.Done():
			return status, errors.Join(ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// listSettles is how long a new schedule may take to show in the list before the table does without.
const listSettles = 3 * time.Second

func (d *devView) printSchedules(ctx context.Context, project *config.Project) error {
	server := activities.NewServer(d.client.WorkflowService(), client.DefaultNamespace, "schedules dev", rate.NewLimiter(10, 1))
	scope := activities.Scope{Project: project.Name, Also: project.NamedScheduleIDs()}
	var entries []activities.Listed
	for deadline := time.Now().Add(listSettles); ; {
		var err error
		if entries, err = server.List(ctx, scope); err != nil {
			return err
		}
		if len(entries) == len(project.Scheduled()) || time.Now().After(deadline) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	byID := make(map[string]activities.Listed, len(entries))
	for _, entry := range entries {
		byID[entry.ScheduleID] = entry
	}
	table := tabwriter.NewWriter(d.env.Out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\nWORKFLOW\tSCHEDULE\tNEXT RUN")
	for _, w := range project.Scheduled() {
		entry := byID[w.ScheduleID(project.Name)]
		fmt.Fprintf(table, "%s\t%s\t%s\n", w.ID, w.Schedule.Words(), nextRun(entry, time.Now()))
	}
	fmt.Fprintln(table)
	return table.Flush()
}

// nextRun is when a listed schedule runs next, in words.
func nextRun(entry activities.Listed, now time.Time) string {
	switch {
	case entry.Paused:
		return "paused"
	case len(entry.NextRuns) == 0:
		return "none"
	}
	for _, next := range entry.NextRuns {
		if next.After(now) {
			return fmt.Sprintf("%s (in %s)", next.Local().Format("Mon 2006-01-02 15:04:05 MST"), roughly(next.Sub(now)))
		}
	}
	return "now"
}

// roughly rounds a duration to what a person wants to know.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < day:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return plural(int(d/day), "day")
	}
}

func (d *devView) printAddresses(project *config.Project) {
	ui := fmt.Sprintf("http://127.0.0.1:%d/namespaces/%s", d.options.uiPort, client.DefaultNamespace)
	table := tabwriter.NewWriter(d.env.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nTemporal UI\t%s/workflows\n", ui)
	fmt.Fprintf(table, "schedules\t%s/schedules\n", ui)
	fmt.Fprintf(table, "reconciler\t%s/workflows/%s\n", ui, workflows.ReconcilerID(project.Name))
	if d.settings.API {
		fmt.Fprintf(table, "REST API\thttp://%s/api/v0/docs\n", d.settings.Listen)
	}
	fmt.Fprintf(table, "Temporal\t127.0.0.1:%d\n", d.options.port)
	_ = table.Flush() // as with any print for a person
	fmt.Fprintf(d.env.Out, "\nEdit the files in %s and watch the schedules follow. Ctrl-C ends everything.\n", project.Dir)
}
