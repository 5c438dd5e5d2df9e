package config

import (
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Settings are a process's own settings. How it reaches Temporal is not among them: that comes from
// the TEMPORAL_* variables and profiles that every Temporal tool reads.
type Settings struct {
	// Project is the project directory, or its compozy.yaml. Default: the working directory.
	Project string `koanf:"project"`
	// Generation orders deploys: a reload with a lower one is refused. 0: no order, the last one wins.
	Generation int64 `koanf:"generation"`
	// ResyncInterval is the time between passes over an unchanged revision. At least 1 s.
	ResyncInterval time.Duration `koanf:"resync_interval"`
	// MaxPrune is the share of the owned schedules, in percent, that a reload may delete without being
	// told to prune. Five may always be.
	MaxPrune int `koanf:"max_prune"`
	// Drift says what becomes of hand edits of schedules.
	Drift DriftMode `koanf:"drift"`
	// AuditInterval is the time between looks at every field of every schedule. At least 1 s.
	AuditInterval time.Duration `koanf:"audit_interval"`
	// TemporalRPS limits this process's calls of Temporal's schedule service, in calls a second.
	TemporalRPS float64 `koanf:"temporal_rps"`
	// Watch makes changed files take effect by themselves. SIGHUP does it in any case.
	Watch bool `koanf:"watch"`
	// Worker runs the reconciler and the schedules' activities; API serves the REST API. A process does
	// at least one of them.
	Worker bool `koanf:"worker"`
	API    bool `koanf:"api"`
	// Listen is the API's host:port. Without API keys and JWTs it must be loopback.
	Listen string `koanf:"listen"`
	// MetricsListen is a host:port of its own for /metrics; empty: only with the API.
	MetricsListen string `koanf:"metrics_listen"`
	// PprofListen is a loopback host:port for the Go runtime's profiles; empty: none.
	PprofListen string `koanf:"pprof_listen"`
	// RateLimit is how many requests a minute a client of the API may send. 0: no limit.
	RateLimit int `koanf:"rate_limit"`
	// TrustedProxies are the addresses and ranges whose X-Forwarded-For names the client.
	TrustedProxies []string `koanf:"trusted_proxies"`
	// APIKeys are the keys that the API accepts.
	APIKeys []APIKey `koanf:"api_keys"`
	// JWTIssuer, JWTAudience and JWTJWKSURL make the API accept OIDC access tokens: who must have issued
	// them, for whom, and where the issuer's public keys are. All three or none.
	JWTIssuer   string `koanf:"jwt_issuer"`
	JWTAudience string `koanf:"jwt_audience"`
	JWTJWKSURL  string `koanf:"jwt_jwks_url"`
	// JWTAlgorithms are the accepted signature algorithms.
	JWTAlgorithms []string `koanf:"jwt_algorithms"`
	// LogLevel is debug, info, warn or error. LogFormat is text, json or auto: text on a terminal.
	LogLevel  string `koanf:"log_level"`
	LogFormat string `koanf:"log_format"`
}

// DefaultSettings are the settings of a process that was told nothing.
func DefaultSettings() Settings {
	return Settings{
		Project: ".", ResyncInterval: time.Minute, MaxPrune: 30, Drift: DriftReport, AuditInterval: time.Hour,
		TemporalRPS: 1000, Watch: true,
		Worker: true, API: true, Listen: "127.0.0.1:8080", RateLimit: 100, TrustedProxies: []string{},
		APIKeys: []APIKey{}, JWTAlgorithms: []string{"RS256", "ES256"},
		LogLevel: "info", LogFormat: "auto",
	}
}

// DriftMode says what becomes of hand edits of schedules.
type DriftMode string

// The drift modes.
const (
	// DriftReport shows them and leaves them as they are.
	DriftReport DriftMode = "report"
	// DriftCorrect puts back what the YAML says.
	DriftCorrect DriftMode = "correct"
)

// settingsFile is read from the working directory where it exists and no other file is named.
const settingsFile = "schedules.yaml"

const envPrefix = "SCHEDULES_"

// AddFlags defines a flag for each setting.
func AddFlags(flags *pflag.FlagSet) {
	d := DefaultSettings()
	flags.String("config", "", "settings file (default "+settingsFile+" where it exists)")
	flags.String("project", d.Project, "project directory, or its compozy.yaml")
	flags.Int64("generation", d.Generation, "order of this deploy, such as a build number; a lower one is refused (0: no order)")
	flags.Duration("resync-interval", d.ResyncInterval, "time between passes over unchanged files")
	flags.Int("max-prune", d.MaxPrune, "percent of the schedules that a reload may delete by itself; five may always be")
	flags.String("drift", string(d.Drift), "what becomes of hand edits: report, or correct to put them back")
	flags.Duration("audit-interval", d.AuditInterval, "time between looks at every field of every schedule")
	flags.Float64("temporal-rps", d.TemporalRPS, "limit of calls of Temporal's schedule service a second")
	flags.Bool("watch", d.Watch, "let changed files take effect by themselves")
	flags.Bool("worker", d.Worker, "run the reconciler and the schedules' activities")
	flags.Bool("api", d.API, "serve the REST API")
	addAPIFlags(flags, d)
	flags.String("log-level", d.LogLevel, "debug, info, warn or error")
	flags.String("log-format", d.LogFormat, "text, json or auto (text on a terminal)")
}

// LoadSettings merges defaults, the settings file, SCHEDULES_* variables and the flags that were
// given, in that order: the later wins. A key that it does not know is an error. environ has the form
// of os.Environ.
func LoadSettings(flags *pflag.FlagSet, environ []string) (Settings, error) {
	k := koanf.New(".")
	if err := k.Load(structs.Provider(DefaultSettings(), "koanf"), nil); err != nil {
		return Settings{}, fmt.Errorf("load the default settings: %w", err)
	}
	known := k.Keys()
	if err := loadSettingsFile(k, flags); err != nil {
		return Settings{}, err
	}
	if err := loadEnviron(k, known, environ); err != nil {
		return Settings{}, err
	}
	given := posflag.ProviderWithFlag(flags, ".", k, func(f *pflag.Flag) (string, any) {
		key := strings.ReplaceAll(f.Name, "-", "_")
		if !f.Changed || !slices.Contains(known, key) {
			return "", nil
		}
		return key, posflag.FlagVal(flags, f)
	})
	if err := k.Load(given, nil); err != nil {
		return Settings{}, fmt.Errorf("read the flags: %w", err)
	}
	return decodeSettings(k, known)
}

func loadSettingsFile(k *koanf.Koanf, flags *pflag.FlagSet) error {
	path, err := flags.GetString("config")
	if err != nil {
		return fmt.Errorf("read the flags: %w", err)
	}
	if path == "" {
		if _, err := os.Stat(settingsFile); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		path = settingsFile
	}
	fromFile := koanf.New(".")
	if err := fromFile.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("read the settings file %s: %w", path, err)
	}
	for _, key := range fromFile.Keys() {
		if !k.Exists(key) {
			return fmt.Errorf("settings file %s: unknown key %q; the keys are %s", path, key, strings.Join(k.Keys(), ", "))
		}
	}
	return k.Merge(fromFile)
}

func loadEnviron(k *koanf.Koanf, known, environ []string) error {
	var unknown []string
	provider := env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key := strings.ToLower(strings.TrimPrefix(name, envPrefix))
			switch {
			case value == "": // set to nothing is not set: an empty SCHEDULES_WATCH turns nothing off
				return "", nil
			case isServiceLink(key, value), slices.Contains(clientVariables, key):
				return "", nil
			case !slices.Contains(known, key):
				unknown = append(unknown, name)
				return "", nil
			}
			return key, value
		},
	})
	if err := k.Load(provider, nil); err != nil {
		return fmt.Errorf("read the %s* variables: %w", envPrefix, err)
	}
	if len(unknown) > 0 {
		return fmt.Errorf("unknown variable %s; the settings are %s, each with the prefix %s",
			strings.Join(unknown, ", "), strings.ToUpper(strings.Join(known, ", ")), envPrefix)
	}
	return nil
}

// serviceLink is the rest of the name of a variable that Kubernetes sets in every pod of a namespace where
// a Service is named `schedules` or `schedules-…`
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
var serviceLink = regexp.MustCompile(
	`^(.+_)?(service_host|service_port(_.+)?|port_[0-9]+_(tcp|udp|sctp)(_(proto|port|addr))?)$`)

// clientVariables are those that the commands on the API read; they may be set in the same shell.
var clientVariables = []string{"api_url", "token"}

func isServiceLink(key, value string) bool {
	isPort := key == "port" || strings.HasSuffix(key, "_port")
	return serviceLink.MatchString(key) || isPort && strings.Contains(value, "://")
}

func decodeSettings(k *koanf.Koanf, known []string) (Settings, error) {
	var settings Settings
	err := k.UnmarshalWithConf("", &settings, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		DecodeHook:       mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), listHook()),
		ErrorUnused:      true,
		WeaklyTypedInput: true,
		Result:           &settings,
		TagName:          "koanf",
	}})
	if err != nil {
		return Settings{}, fmt.Errorf("settings (%s): %w", strings.Join(known, ", "), err)
	}
	return settings, settings.validate()
}

func (s Settings) validate() error {
	var problems []error
	refuse := func(bad bool, format string, value any) {
		if bad {
			problems = append(problems, fmt.Errorf(format, value))
		}
	}
	refuse(s.Project == "", "project %q: name the project directory", s.Project)
	refuse(s.Generation < 0, "generation %d: use 0 or more", s.Generation)
	refuse(s.ResyncInterval < time.Second, "resync_interval %s: use at least 1s", s.ResyncInterval)
	refuse(s.MaxPrune < 1 || s.MaxPrune > 100, "max_prune %d: use 1 to 100 percent", s.MaxPrune)
	refuse(s.Drift != DriftReport && s.Drift != DriftCorrect, "drift %q: use report or correct", s.Drift)
	refuse(s.AuditInterval < time.Second, "audit_interval %s: use at least 1s", s.AuditInterval)
	// Not above 0: NaN neither.
	refuse(!(s.TemporalRPS > 0) || math.IsInf(s.TemporalRPS, 1), "temporal_rps %g: use more than 0 calls a second", s.TemporalRPS)
	refuse(!slices.Contains([]string{"debug", "info", "warn", "error"}, s.LogLevel),
		"log_level %q: use debug, info, warn or error", s.LogLevel)
	refuse(!slices.Contains([]string{"text", "json", "auto"}, s.LogFormat), "log_format %q: use text, json or auto", s.LogFormat)
	refuse(!s.Worker && !s.API, "worker %t and api are both off: leave one on", s.Worker)
	if err := s.ValidateAPI(); err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return fmt.Errorf("invalid settings: %w", errors.Join(problems...))
	}
	return nil
}
