package config_test

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

// loadSettings loads with a settings file of that text (none where it is empty), variables and flags.
func loadSettings(t *testing.T, file string, environ []string, args ...string) (config.Settings, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if file != "" {
		put(t, "schedules.yaml", file)
	}
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	flags.String("own", "", "a flag of the command's own")
	require.NoError(t, flags.Parse(args))
	return config.LoadSettings(flags, environ)
}

func TestSettingsPrecedence(t *testing.T) {
	t.Run("Should be the defaults where nothing is said", func(t *testing.T) {
		got, err := loadSettings(t, "", nil)
		require.NoError(t, err)
		assert.Equal(t, config.DefaultSettings(), got)
	})
	all := config.DefaultSettings()
	all.Project, all.Generation, all.ResyncInterval, all.MaxPrune = "p", 7, 90*time.Second, 50
	all.TemporalRPS, all.Watch, all.LogLevel, all.LogFormat = 12.5, false, "debug", "json"
	t.Run("Should read every setting from the file", func(t *testing.T) {
		got, err := loadSettings(t, "project: p\ngeneration: 7\nresync_interval: 1m30s\nmax_prune: 50\ntemporal_rps: 12.5\n"+
			"watch: false\nlog_level: debug\nlog_format: json\n", nil)
		require.NoError(t, err)
		assert.Equal(t, all, got)
	})
	t.Run("Should read every setting from variables", func(t *testing.T) {
		got, err := loadSettings(t, "", []string{
			"SCHEDULES_PROJECT=p", "SCHEDULES_GENERATION=7", "SCHEDULES_RESYNC_INTERVAL=1m30s", "SCHEDULES_MAX_PRUNE=50",
			"SCHEDULES_TEMPORAL_RPS=12.5", "SCHEDULES_WATCH=false", "SCHEDULES_LOG_LEVEL=debug", "SCHEDULES_LOG_FORMAT=json",
		})
		require.NoError(t, err)
		assert.Equal(t, all, got)
	})
	t.Run("Should read every setting from flags", func(t *testing.T) {
		got, err := loadSettings(t, "", nil, "--project=p", "--generation=7", "--resync-interval=1m30s", "--max-prune=50",
			"--temporal-rps=12.5", "--watch=false", "--log-level=debug", "--log-format=json", "--own=x")
		require.NoError(t, err)
		assert.Equal(t, all, got)
	})

	// Each source gives max_prune another value.
	const file, variable, flag = "max_prune: 11", "SCHEDULES_MAX_PRUNE=12", "--max-prune=13"
	precedence := []struct {
		name, file string
		environ    []string
		args       []string
		want       int
	}{
		{"the file over the default", file, nil, nil, 11},
		{"a variable over the file", file, []string{variable}, nil, 12},
		{"a flag over a variable", "", []string{variable}, []string{flag}, 13},
		{"a flag over the file", file, nil, []string{flag}, 13},
		{"a flag over all", file, []string{variable}, []string{flag}, 13},
		{"a flag that says the default over all", file, []string{variable}, []string{"--max-prune=30"}, 30},
	}
	for _, test := range precedence {
		t.Run("Should take "+test.name, func(t *testing.T) {
			got, err := loadSettings(t, test.file, test.environ, test.args...)
			require.NoError(t, err)
			want := config.DefaultSettings()
			want.MaxPrune = test.want
			assert.Equal(t, want, got, "nothing else changes")
		})
	}
	t.Run("Should read another file where one is named", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "other.yaml")
		put(t, path, "max_prune: 14")
		got, err := loadSettings(t, file, nil, "--config="+path)
		require.NoError(t, err)
		assert.Equal(t, 14, got.MaxPrune)
	})
	t.Run("Should take an empty file for none", func(t *testing.T) {
		got, err := loadSettings(t, "# nothing yet\n", nil)
		require.NoError(t, err)
		assert.Equal(t, config.DefaultSettings(), got)
	})
}

func TestSettingsUnknownKeys(t *testing.T) {
	tests := []struct {
		name, file string
		environ    []string
		want       string
	}{
		{"a key in the file", "max_prnue: 1", nil, `schedules.yaml: unknown key "max_prnue"; the keys are api, api_keys`},
		{"a key below a setting", "project: {dir: x}", nil, `unknown key "project.dir"`},
		{"the flag's spelling in the file", "max-prune: 1", nil, `unknown key "max-prune"`},
		{"a variable", "", []string{"SCHEDULES_MAX_PRNUE=1"}, "unknown variable SCHEDULES_MAX_PRNUE; the settings are API, API_KEYS"},
		{"two variables", "", []string{"SCHEDULES_A=1", "SCHEDULES_B=1"}, "SCHEDULES_A, SCHEDULES_B"},
		{"a port that somebody set", "", []string{"SCHEDULES_PORT=8080"}, "unknown variable SCHEDULES_PORT"},
		{"something like a service link", "", []string{"SCHEDULES_SERVICES=8080"}, "unknown variable SCHEDULES_SERVICES"},
	}
	for _, test := range tests {
		t.Run("Should refuse "+test.name, func(t *testing.T) {
			_, err := loadSettings(t, test.file, test.environ)
			assert.ErrorContains(t, err, test.want)
		})
	}
	t.Run("Should take an empty variable for none", func(t *testing.T) {
		settings, err := loadSettings(t, "", []string{"SCHEDULES_WATCH=", "SCHEDULES_GENERATION="})
		require.NoError(t, err)
		assert.Equal(t, config.DefaultSettings(), settings)
	})
	t.Run("Should ignore the variables of the commands on the API", func(t *testing.T) {
		_, err := loadSettings(t, "", []string{"SCHEDULES_API_URL=http://127.0.0.1:8080", "SCHEDULES_TOKEN=secret"})
		require.NoError(t, err)
	})
	t.Run("Should ignore other programs' variables", func(t *testing.T) {
		got, err := loadSettings(t, "", []string{"TEMPORAL_ADDRESS=x", "XSCHEDULES_A=1", "SCHEDULESX=1", "PATH=/bin", "="})
		require.NoError(t, err)
		assert.Equal(t, config.DefaultSettings(), got)
	})
	t.Run("Should ignore the variables that Kubernetes sets for services", func(t *testing.T) {
		var environ []string
		// Services named schedules, schedules-api and schedules-port.
		for _, service := range []string{"SCHEDULES", "SCHEDULES_API", "SCHEDULES_PORT"} {
			environ = append(environ,
				service+"_SERVICE_HOST=10.0.0.11", service+"_SERVICE_PORT=8080", service+"_SERVICE_PORT_HTTP=8080",
				service+"_SERVICE_PORT_GRPC_WEB=9090", service+"_PORT=tcp://10.0.0.11:8080", service+"_PORT_8080_TCP=tcp://10.0.0.11:8080",
				service+"_PORT_8080_TCP_PROTO=tcp", service+"_PORT_8080_TCP_PORT=8080", service+"_PORT_8080_TCP_ADDR=10.0.0.11",
				service+"_PORT_53_UDP=udp://10.0.0.11:53", service+"_PORT_53_UDP_PROTO=udp",
			)
		}
		got, err := loadSettings(t, "", environ)
		require.NoError(t, err)
		assert.Equal(t, config.DefaultSettings(), got)
	})
}

func TestSettingsErrors(t *testing.T) {
	tests := []struct {
		name, file string
		environ    []string
		args       []string
		want       []string
	}{
		{name: "an empty project", args: []string{"--project="}, want: []string{`project "": name the project directory`}},
		{name: "a negative generation", args: []string{"--generation=-1"}, want: []string{"generation -1: use 0 or more"}},
		{name: "a short resync interval", file: "resync_interval: 999ms", want: []string{"resync_interval 999ms: use at least 1s"}},
		{name: "a resync interval without a unit", file: "resync_interval: 60", want: []string{"resync_interval 60ns: use at least 1s"}},
		{name: "a resync interval without a unit in a variable", environ: []string{"SCHEDULES_RESYNC_INTERVAL=60"}, want: []string{"resync_interval", "missing unit"}},
		{name: "no prune", file: "max_prune: 0", want: []string{"max_prune 0: use 1 to 100 percent"}},
		{name: "too much prune", file: "max_prune: 101", want: []string{"max_prune 101: use 1 to 100 percent"}},
		{name: "no calls", file: "temporal_rps: 0", want: []string{"temporal_rps 0: use more than 0 calls a second"}},
		{name: "a number of calls that is none", environ: []string{"SCHEDULES_TEMPORAL_RPS=nan"}, want: []string{"temporal_rps NaN"}},
		{name: "endless calls", environ: []string{"SCHEDULES_TEMPORAL_RPS=inf"}, want: []string{"temporal_rps +Inf"}},
		{name: "an unknown level", args: []string{"--log-level=loud"}, want: []string{`log_level "loud": use debug, info, warn or error`}},
		{name: "an unknown format", args: []string{"--log-format=xml"}, want: []string{`log_format "xml": use text, json or auto`}},
		{name: "profiles for everybody", args: []string{"--pprof-listen=0.0.0.0:6060"}, want: []string{`pprof_listen "0.0.0.0:6060": write a loopback address`}},
		{name: "profiles on every address", args: []string{"--pprof-listen=:6060"}, want: []string{`pprof_listen ":6060"`}},
		{name: "profiles on a name that may be anywhere", file: "pprof_listen: example.com:6060", want: []string{"pprof_listen"}},
		{name: "profiles without a port", environ: []string{"SCHEDULES_PPROF_LISTEN=127.0.0.1"}, want: []string{"pprof_listen"}},
		{name: "everything at once", file: "project: ''\nmax_prune: 0\nlog_level: x\n",
			want: []string{"invalid settings", "project", "max_prune", "log_level"}},
		{name: "text for a number", file: "max_prune: many", want: []string{"max_prune", "as 'int'"}},
		{name: "text for a switch", environ: []string{"SCHEDULES_WATCH=perhaps"}, want: []string{"watch", "as 'bool'"}},
		{name: "a list for a text", file: "project: [a, b]", want: []string{"project"}},
		{name: "a file that is no YAML", file: "project: [", want: []string{"read the settings file schedules.yaml"}},
		{name: "a file that is a list", file: "- a\n", want: []string{"read the settings file schedules.yaml"}},
		{name: "a named file that is not there", args: []string{"--config=nowhere.yaml"}, want: []string{"read the settings file nowhere.yaml"}},
	}
	for _, test := range tests {
		t.Run("Should refuse "+test.name, func(t *testing.T) {
			_, err := loadSettings(t, test.file, test.environ, test.args...)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
	t.Run("Should accept loopback addresses for profiles", func(t *testing.T) {
		for _, address := range []string{"127.0.0.1:6060", "localhost:0", "[::1]:6060"} {
			got, err := loadSettings(t, "", nil, "--pprof-listen="+address)
			require.NoError(t, err)
			assert.Equal(t, address, got.PprofListen)
		}
	})
	t.Run("Should accept the bounds", func(t *testing.T) {
		got, err := loadSettings(t, "", nil, "--resync-interval=1s", "--max-prune=100", "--temporal-rps=0.1")
		require.NoError(t, err)
		assert.Equal(t, time.Second, got.ResyncInterval)
		assert.Equal(t, 100, got.MaxPrune)
		assert.InDelta(t, 0.1, got.TemporalRPS, 1e-9)
		assert.False(t, math.IsNaN(got.TemporalRPS))
	})
	t.Run("Should refuse a set of flags that is not ours", func(t *testing.T) {
		_, err := config.LoadSettings(pflag.NewFlagSet("other", pflag.ContinueOnError), nil)
		assert.ErrorContains(t, err, "read the flags")
	})
}

func TestSettingsFlags(t *testing.T) {
	t.Run("Should name every setting once, with its default", func(t *testing.T) {
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		config.AddFlags(flags)
		usage := flags.FlagUsages()
		for _, want := range []string{
			"--config", "--project", "--generation", "--resync-interval duration", "(default 1m0s)", "--max-prune", "(default 30)",
			"--temporal-rps", "(default 1000)", "--watch", "(default true)", "--log-level", `(default "info")`, "--log-format", `(default "auto")`,
		} {
			assert.Contains(t, usage, want)
		}
	})
}
