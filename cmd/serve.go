package cmd

import (
	"log/slog"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/compozy/schedules/config"
)

func newServe(env Environment) *cobra.Command {
	command := &cobra.Command{
		Use:   "serve",
		Short: "Serve a project: keep its Temporal schedules equal to its YAML",
		Long: "Serve a project: keep its Temporal schedules equal to its YAML until SIGTERM. SIGHUP reads the\n" +
			"files again. Each flag is also a key of the settings file (max_prune) and a variable\n" +
			"(SCHEDULES_MAX_PRUNE); flags win over variables, variables over the file. Temporal is reached as\n" +
			"by every Temporal tool: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS_*,\n" +
			"TEMPORAL_PROFILE.",
		Args: cobra.NoArgs,
	}
	config.AddFlags(command.Flags())
	command.RunE = func(command *cobra.Command, _ []string) error {
		settings, err := config.LoadSettings(command.Flags(), env.Environ)
		if err != nil {
			return err
		}
		logger, err := newLogger(env, settings)
		if err != nil {
			return err
		}
		collectOften(env)
		return serve(env, settings, logger)
	}
	return command
}

// collectOften makes the garbage collector run when the heap has grown by half, not by all of it: the lists and files of a
// large project are garbage a moment later, and memory is what a pod is given. GOGC, where it is set, wins.
func collectOften(env Environment) {
	if _, set := lookup(env.Environ).LookupEnv("GOGC"); !set {
		debug.SetGCPercent(50)
	}
}

func serve(env Environment, settings config.Settings, logger *slog.Logger) error {
	project, err := config.Load(settings.Project)
	if err != nil {
		return err
	}
	options, err := temporalOptions(env, logger)
	if err != nil {
		return err
	}
	return process{temporal: options, settings: settings, logger: logger, hangup: env.Hangup}.run(env.Context, project)
}
