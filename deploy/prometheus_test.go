package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.yaml.in/yaml/v4"

	"github.com/compozy/schedules/cmd/schedulestest"
	"github.com/compozy/schedules/worker/temporaltest"
	"github.com/compozy/schedules/workflows"
)

const (
	rulesFile = "prometheus/rules.yaml"
	runbook   = "https://github.com/compozy/schedules/blob/main/docs/runbook.md"
)

// rule is an alert of rules.yaml.
type rule struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct{ Groups []struct{ Rules []rule } }
	require.NoError(t, yaml.Unmarshal([]byte(read(t, rulesFile)), &file))
	require.Len(t, file.Groups, 1)
	return file.Groups[0].Rules
}

// dashboard is what these tests look at of a Grafana dashboard.
type dashboard struct {
	Title, UID    string
	SchemaVersion int
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Links                    []struct{ URL string }
	Datasource               struct{ UID string }
	FieldConfig              struct {
		Defaults struct{ Unit string }
	}
	Targets []struct{ RefID, Expr, LegendFormat string }
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	paths, err := filepath.Glob("grafana/*.json")
	require.NoError(t, err)
	found := map[string]dashboard{}
	for _, path := range paths {
		var d dashboard
		require.NoError(t, json.Unmarshal([]byte(read(t, path)), &d), path)
		found[path] = d
	}
	require.Len(t, found, 3)
	return found
}

// anchors are a page's sections as GitHub links to them.
func anchors(t *testing.T, path string) (found []string) {
	t.Helper()
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(read(t, path), -1) {
		found = append(found, strings.ReplaceAll(regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-"))
	}
	return found
}

func TestRules(t *testing.T) {
	t.Run("Should have a severity, texts and a section of the runbook each", func(t *testing.T) {
		sections := anchors(t, "../docs/runbook.md")
		for _, rule := range rules(t) {
			assert.Contains(t, []string{"critical", "warning"}, rule.Labels["severity"], rule.Alert)
			assert.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			assert.NotEmpty(t, rule.Annotations["description"], rule.Alert)
			assert.Equal(t, runbook+"#"+strings.ToLower(rule.Alert), rule.Annotations["runbook_url"])
			assert.Contains(t, sections, strings.ToLower(rule.Alert))
		}
	})
	t.Run("Should be tested to fire and not to fire", func(t *testing.T) {
		fires, quiet := map[string]bool{}, map[string]bool{}
		for _, path := range []string{"prometheus/rules_test.yaml", "prometheus/rules_day_test.yaml"} {
			var file struct {
				Tests []struct {
					Checks []struct {
						Alert string `yaml:"alertname"`
						Fired []any  `yaml:"exp_alerts"`
					} `yaml:"alert_rule_test"`
				}
			}
			require.NoError(t, yaml.Unmarshal([]byte(read(t, path)), &file))
			for _, test := range file.Tests {
				for _, check := range test.Checks {
					fires[check.Alert] = fires[check.Alert] || len(check.Fired) > 0
					quiet[check.Alert] = quiet[check.Alert] || len(check.Fired) == 0
				}
			}
		}
		for _, rule := range rules(t) {
			assert.True(t, fires[rule.Alert], "%s fires", rule.Alert)
			assert.True(t, quiet[rule.Alert], "%s is quiet", rule.Alert)
		}
	})
	t.Run("Should pass promtool's checks and the tests beside them", func(t *testing.T) {
		for _, args := range [][]string{
			{"check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"},
			{"check", "config", "prometheus.yaml"},
			{"test", "rules", "rules_test.yaml", "rules_day_test.yaml"},
		} {
			command := exec.CommandContext(t.Context(), installed(t, "promtool"), args...)
			command.Dir = "prometheus"
			out, err := command.CombinedOutput()
			assert.NoError(t, err, string(out))
		}
	})
}

func TestDashboards(t *testing.T) {
	t.Run("Should be importable anywhere", func(t *testing.T) {
		uids := map[string]bool{}
		for path, d := range dashboards(t) {
			assert.GreaterOrEqual(t, d.SchemaVersion, 42, path)
			assert.False(t, uids[d.UID], d.UID)
			uids[d.UID] = true
			variables := map[string]string{}
			for _, variable := range d.Templating.List {
				variables[variable.Name] = variable.Type + " " + variable.Definition
			}
			assert.Equal(t, map[string]string{
				"datasource": "datasource ", "project": "query label_values(compozy_schedule_phase, project)",
			}, variables, path)
		}
	})
	t.Run("Should explain each panel, and ask for the chosen project", func(t *testing.T) {
		sections := anchors(t, "../docs/runbook.md")
		for path, d := range dashboards(t) {
			ids, cells := map[int]bool{}, map[[2]int]string{}
			for _, p := range d.Panels {
				where := path + ": " + p.Title
				assert.False(t, ids[p.ID], where)
				ids[p.ID] = true
				for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
					assert.Less(t, x, 24, where)
					for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
						assert.Empty(t, cells[[2]int{x, y}], "%s is upon another", where)
						cells[[2]int{x, y}] = where
					}
				}
				for _, link := range p.Links {
					page, section, _ := strings.Cut(link.URL, "#")
					assert.Equal(t, runbook, page, where)
					assert.Contains(t, sections, section, where)
				}
				if p.Type == "row" {
					continue
				}
				assert.NotEmpty(t, p.Description, where)
				assert.NotEmpty(t, p.FieldConfig.Defaults.Unit, where)
				assert.Equal(t, "${datasource}", p.Datasource.UID, where)
				assert.NotEmpty(t, p.Targets, where)
				for _, target := range p.Targets {
					assert.Contains(t, target.Expr, `project=~"$project"`, where)
					assert.Contains(t, target.LegendFormat, "{{project}}", where)
				}
			}
		}
	})
}

// TestMonitoring watches real processes with a real Prometheus. Shop has 40 schedules and two replicas, of which
// one has no API, and a third process that cannot reach Temporal. Stuck has one schedule, and a deploy that ends
// halfway.
func TestMonitoring(t *testing.T) {
	m := monitor(t)
	shop, stuck := m.project("shop", 40), m.project("stuck", 1)
	ports := freePorts(t, 7)
	api, blind := "127.0.0.1:"+ports[0], "127.0.0.1:"+ports[2]
	quick := []string{"--resync-interval", "1s", "--audit-interval", "1s", "--rate-limit", "0"}
	m.prometheus(ports[6], ports[:6])

	t.Run("Should tell that nothing is scraped", func(t *testing.T) {
		m.until(t, "an alert", func() bool { return m.alerting(t, "SchedulesAbsent", "") })
	})

	m.serve(shop, quick, "--listen", api)
	m.serve(shop, quick, "--api=false", "--metrics-listen", "127.0.0.1:"+ports[1])
	m.start([]string{"TEMPORAL_ADDRESS=127.0.0.1:1"}, "serve", "--project", shop, "--worker=false", "--rate-limit", "0", "--listen", blind)
	newer := m.serve(stuck, []string{"--resync-interval", "30s", "--audit-interval", "1s"}, "--generation", "2", "--api=false",
		"--metrics-listen", "127.0.0.1:"+ports[3])
	m.until(t, "both in sync and audited", func() bool {
		return m.has(t, `compozy_schedule_phase{project="shop",phase="in_sync"} == 1 and on (project) compozy_schedule_last_audit_timestamp_seconds`) &&
			m.has(t, `compozy_schedule_phase{project="stuck",phase="in_sync"} == 1 and on (project) compozy_schedule_last_audit_timestamp_seconds`)
	})

	t.Run("Should have as many series for 40 schedules as for one", func(t *testing.T) {
		one, many := scrape(t, ports[3]), scrape(t, ports[1])
		assert.Equal(t, 40, int(many["compozy_scheduled_workflows_total"].GetMetric()[0].GetGauge().GetValue()))
		assert.NotEmpty(t, series(one, "compozy_"))
		assert.Equal(t, series(one, "compozy_"), series(many, "compozy_"))
		for _, labels := range series(many, "") {
			assert.NotContains(t, labels, "wf-", "a workflow's id")
		}
	})
	t.Run("Should have the SDK's metrics, with the same task queues whatever the revision", func(t *testing.T) {
		queues := map[string]bool{}
		for _, metric := range scrape(t, ports[1])["temporal_worker_task_slots_available"].GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "task_queue" {
					queues[label.GetValue()] = true
				}
			}
		}
		assert.Equal(t, map[string]bool{"compozy-schedules-shop": true, "compozy-schedules-shop-rev-*": true}, queues)
	})
	t.Run("Should follow the conventions for names, save where the specification does not", func(t *testing.T) {
		m.get("http://" + api + "/api/v0/schedules")
		command := exec.CommandContext(t.Context(), installed(t, "promtool"), "check", "metrics")
		command.Stdin = bytes.NewReader(m.get("http://" + api + "/metrics"))
		out, _ := command.CombinedOutput()
		var findings []string
		for line := range strings.Lines(string(out)) {
			if !regexp.MustCompile(`^temporal_\w+ no help text`).MatchString(line) { // the SDK has none
				findings = append(findings, line)
			}
		}
		assert.Equal(t, []string{"compozy_scheduled_workflows_total non-counter metrics should not have \"_total\" suffix\n"}, findings)
	})

	// From here on the newer deploy of stuck is gone, and what is left is older and has other files.
	m.serve(m.project("stuck", 2), nil, "--generation", "1", "--api=false", "--metrics-listen", "127.0.0.1:"+ports[4])
	m.until(t, "the older deploy is refused", func() bool { return strings.Contains(m.status(stuck), "refused reload") })
	newer.Terminate()
	require.NoError(t, m.client.SignalWorkflow(t.Context(), workflows.ReconcilerID("stuck"), "", workflows.SignalResync, nil))

	calls := func() {
		m.get("http://" + api + "/api/v0/schedules")
		m.get("http://" + api + "/nothing")
		m.get("http://" + blind + "/api/v0/schedules")
		m.run("pause", "wf-01", "--api-url", "http://"+api)
		m.run("revert", "wf-01", "--api-url", "http://"+api)
	}
	t.Run("Should answer every query of every dashboard", func(t *testing.T) {
		for path, d := range dashboards(t) {
			for _, p := range d.Panels {
				for _, target := range p.Targets {
					query := strings.NewReplacer("$project", "shop|stuck", "$__rate_interval", "1m").Replace(target.Expr)
					m.until(t, path+": "+p.Title, func() bool {
						if m.has(t, query) {
							return true
						}
						calls()
						return false
					})
				}
			}
		}
		m.until(t, "paths that are none of ours", func() bool { return m.has(t, `compozy_schedule_api_requests_total{route="other",code="404"}`) })
	})
	t.Run("Should have series under every alert", func(t *testing.T) {
		for _, rule := range rules(t) {
			for _, part := range operands(rule.Expr) {
				if strings.HasPrefix(part, "absent(") {
					part = part[len("absent(") : len(part)-1]
				}
				if strings.Contains(part, "oldest_override") {
					continue // there is no override yet; it is asked for below
				}
				m.until(t, rule.Alert+": "+part, func() bool { return m.has(t, part) })
			}
		}
	})
	t.Run("Should tell that the API fails", func(t *testing.T) {
		m.until(t, "an alert", func() bool {
			calls()
			return m.alerting(t, "SchedulesAPIErrors", "shop")
		})
	})

	// Everything that goes wrong with a schedule, at once.
	m.foreign("schedule-shop-taken")
	writeWorkflow(t, shop, "taken")
	m.until(t, "the reload", func() bool { return strings.Contains(m.status(shop), "41 in the YAML") })
	m.edit("schedule-shop-wf-02")
	require.Contains(t, m.run("pause", "wf-03", "--reason", "the queue is full", "--api-url", "http://"+api), "wf-03")

	broken := []struct{ what, project, dir, status, query, alert, details string }{
		{
			"a hand edit", "shop", shop, "wf-02: drift",
			`compozy_schedule_problems{project="shop",kind="drift"} == 1`, "SchedulesDrift", "| wf-02 | drift: ",
		},
		{
			"a conflict", "shop", shop, "taken: conflict",
			`compozy_schedule_problems{project="shop",kind="conflict"} == 1`, "SchedulesConflict", "| taken | conflict: ",
		},
		{
			"an override", "shop", shop, "1 paused",
			`time() - compozy_schedule_oldest_override_timestamp_seconds{project="shop"} > 2`, "SchedulesOverrideOld",
			"| wf-03 | pause | anonymous | the queue is full | reload |",
		},
		{
			"that no worker has the revision", "stuck", stuck, "no worker has revision",
			`max_over_time(compozy_schedule_phase{project="stuck",phase="no_worker"}[1m]) == 1`, "SchedulesNoWorker",
			"no worker has revision",
		},
		{
			"that nothing is reconciled", "stuck", stuck, "no worker for the revision",
			`time() - compozy_schedule_last_success_timestamp_seconds{project="stuck"} > 15`, "SchedulesNotReconciled",
			"### stuck: no worker",
		},
	}
	for _, b := range broken {
		t.Run("Should show everywhere "+b.what, func(t *testing.T) {
			m.until(t, "the status", func() bool { return strings.Contains(m.status(b.dir), b.status) })
			m.until(t, "the metric", func() bool { return m.has(t, b.query) })
			m.until(t, "the alert", func() bool { return m.alerting(t, b.alert, b.project) })
			m.until(t, "the details", func() bool { return strings.Contains(m.details(t, b.project), b.details) })
		})
	}
	t.Run("Should list in the documentation the metrics that there are", func(t *testing.T) {
		documented := map[string][]string{}
		for _, row := range regexp.MustCompile("(?m)^\\| `(compozy_\\w+)` \\| (\\w+) \\| (.*?) \\|").FindAllStringSubmatch(read(t, "../docs/monitoring.md"), -1) {
			labels := regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(row[3], -1)
			documented[row[1]] = []string{strings.ToUpper(row[2])}
			for _, label := range labels {
				documented[row[1]] = append(documented[row[1]], label[1])
			}
			slices.Sort(documented[row[1]][1:])
		}
		exposed := map[string][]string{}
		for name, family := range scrape(t, ports[0]) {
			if strings.HasPrefix(name, "compozy_") {
				exposed[name] = []string{family.GetType().String()}
				for _, label := range family.GetMetric()[0].GetLabel() {
					exposed[name] = append(exposed[name], label.GetName())
				}
				slices.Sort(exposed[name][1:])
			}
		}
		assert.Equal(t, exposed, documented)
	})
	t.Run("Should show everywhere that most files are gone", func(t *testing.T) {
		m.removeWorkflows(shop, 30)
		m.until(t, "the status", func() bool { return strings.Contains(m.status(shop), "blocked by the prune guard") })
		m.until(t, "the metric", func() bool { return m.has(t, `compozy_schedule_phase{project="shop",phase="blocked"} == 1`) })
		m.until(t, "the alert", func() bool { return m.alerting(t, "SchedulesPruneBlocked", "shop") })
		m.until(t, "the details", func() bool { return strings.Contains(m.details(t, "shop"), "### shop: blocked") })
	})
}

// operands are the parts of an expression between its set operators, with comparisons that keep every series.
func operands(expr string) (parts []string) {
	for _, part := range regexp.MustCompile(`\s(?:or|and|unless)\b(?: on \(project\))?\s`).Split(regexp.MustCompile(`\s+`).ReplaceAllString(expr, " "), -1) {
		part = strings.TrimSpace(part)
		for strings.Count(part, "(") > strings.Count(part, ")") {
			part = strings.TrimSpace(strings.TrimPrefix(part, "("))
		}
		for strings.Count(part, "(") < strings.Count(part, ")") {
			part = strings.TrimSpace(strings.TrimSuffix(part, ")"))
		}
		parts = append(parts, sooner(regexp.MustCompile(`([<>]) ([0-9.]+)`).ReplaceAllString(part, "$1 bool $2")))
	}
	return parts
}

// sooner shortens what takes longer than a test.
func sooner(text string) string {
	return strings.NewReplacer("offset 10m", "offset 2s", "offset 1d", "offset 2s", "offset 1h", "offset 2s",
		"> 600", "> 15", "< 600", "< 15", "> 86400", "> 2").Replace(text)
}

// installed is the path of one of Prometheus' programs.
func installed(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("there is no %s on PATH: apt-get install prometheus", program)
	}
	return path
}

// monitored is a Temporal server, a Prometheus, and the processes that it scrapes.
type monitored struct {
	t       *testing.T
	binary  string
	address string
	url     string
	client  client.Client
	logs    []*schedulestest.Process
}

func monitor(t *testing.T) *monitored {
	t.Helper()
	installed(t, "prometheus")
	binary, err := schedulestest.Build(t.TempDir())
	require.NoError(t, err)
	m := &monitored{t: t, binary: binary, address: "127.0.0.1:" + freePorts(t, 1)[0]}
	temporal, err := temporaltest.Binary()
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(m.address)
	require.NoError(t, err)
	m.command(nil, temporal, "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", port, "--log-level", "error")
	m.client, err = client.NewLazyClient(client.Options{HostPort: m.address, Logger: nil})
	require.NoError(t, err)
	t.Cleanup(m.client.Close)
	m.until(t, "Temporal", func() bool {
		_, err := m.client.CheckHealth(t.Context(), &client.CheckHealthRequest{})
		return err == nil
	})
	return m
}

func (m *monitored) command(env []string, name string, args ...string) *schedulestest.Process {
	m.t.Helper()
	p := schedulestest.Start(m.t, append(os.Environ(), env...), name, args...)
	m.logs = append(m.logs, p)
	return p
}

func (m *monitored) start(env []string, args ...string) *schedulestest.Process {
	m.t.Helper()
	return m.command(env, m.binary, args...)
}

func (m *monitored) serve(dir string, settings []string, args ...string) *schedulestest.Process {
	m.t.Helper()
	return m.start([]string{"TEMPORAL_ADDRESS=" + m.address}, append(append([]string{"serve", "--project", dir}, settings...), args...)...)
}

// run is one of our commands, to its end.
func (m *monitored) run(args ...string) string {
	m.t.Helper()
	command := exec.CommandContext(m.t.Context(), m.binary, args...)
	command.Env = append(os.Environ(), "TEMPORAL_ADDRESS="+m.address)
	out, _ := command.CombinedOutput()
	return string(out)
}

func (m *monitored) status(dir string) string {
	m.t.Helper()
	return m.run("status", "--project", dir)
}

// until waits for a condition; where it does not come, it shows what the processes printed last.
func (m *monitored) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, c := range m.logs {
				log := c.Log()
				t.Logf("%v:\n%s", c.Args(), log[max(0, len(log)-2000):])
			}
			require.FailNow(t, "waited too long", what)
		}
	}
}

// prometheus starts one that scrapes the ports every second and knows the rules.
func (m *monitored) prometheus(port string, targets []string) {
	m.t.Helper()
	dir := m.t.TempDir()
	short := sooner(read(m.t, rulesFile))
	require.NotEqual(m.t, read(m.t, rulesFile), short)
	require.NoError(m.t, os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(short), 0o600))
	settings := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\nscrape_configs:\n"+
		"  - {job_name: schedules, static_configs: [{targets: ['127.0.0.1:%s']}]}\n", strings.Join(targets, "', '127.0.0.1:"))
	require.NoError(m.t, os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(settings), 0o600))
	m.url = "http://127.0.0.1:" + port
	m.command(nil, installed(m.t, "prometheus"), "--config.file", filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", "127.0.0.1:"+port, "--log.level", "warn")
}

// get is the body of an answer, nil where nobody answers.
func (m *monitored) get(address string) []byte {
	m.t.Helper()
	response, err := http.Get(address)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusServiceUnavailable { // Prometheus, while it starts
		return nil
	}
	var body bytes.Buffer
	_, _ = body.ReadFrom(response.Body)
	return body.Bytes()
}

// has reports whether a query returns a series whose value is a number.
func (m *monitored) has(t *testing.T, query string) bool {
	t.Helper()
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	body := m.get(m.url + "/api/v1/query?query=" + url.QueryEscape(query))
	if body == nil {
		return false
	}
	require.NoError(t, json.Unmarshal(body, &answer), string(body))
	require.Empty(t, answer.Error, query)
	for _, result := range answer.Data.Result {
		text, _ := result.Value[1].(string)
		if value, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(value) {
			return true
		}
	}
	return false
}

// alerting reports whether an alert is pending or firing.
func (m *monitored) alerting(t *testing.T, alert, project string) bool {
	t.Helper()
	var answer struct {
		Data struct {
			Alerts []struct{ Labels map[string]string }
		}
	}
	body := m.get(m.url + "/api/v1/alerts")
	if body == nil {
		return false
	}
	require.NoError(t, json.Unmarshal(body, &answer), string(body))
	for _, found := range answer.Data.Alerts {
		if found.Labels["alertname"] == alert && found.Labels["project"] == project {
			return true
		}
	}
	return false
}

// details are what the Temporal UI shows of a project's reconciler under User Metadata.
func (m *monitored) details(t *testing.T, project string) string {
	t.Helper()
	value, err := m.client.QueryWorkflow(t.Context(), workflows.ReconcilerID(project), "", "__temporal_workflow_metadata")
	if err != nil {
		return ""
	}
	var metadata sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&metadata))
	return metadata.GetCurrentDetails()
}

// project writes a project of n schedules.
func (m *monitored) project(name string, n int) string {
	m.t.Helper()
	dir := filepath.Join(m.t.TempDir(), name)
	require.NoError(m.t, os.MkdirAll(filepath.Join(dir, "workflows"), 0o755))
	require.NoError(m.t, os.WriteFile(filepath.Join(dir, "compozy.yaml"),
		[]byte("name: "+name+"\nworkflows:\n  - source: ./workflows/*.yaml\n"), 0o600))
	for i := range n {
		writeWorkflow(m.t, dir, fmt.Sprintf("wf-%02d", i))
	}
	return dir
}

func writeWorkflow(t *testing.T, dir, id string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "workflows", id+".yaml"), []byte("id: "+id+"\nschedule: {cron: \"0 5 * * *\"}\n"), 0o600))
}

// removeWorkflows deletes the first n files.
func (m *monitored) removeWorkflows(dir string, n int) {
	m.t.Helper()
	for i := range n {
		require.NoError(m.t, os.Remove(filepath.Join(dir, "workflows", fmt.Sprintf("wf-%02d.yaml", i))))
	}
}

// foreign makes a schedule that is not ours.
func (m *monitored) foreign(id string) {
	m.t.Helper()
	_, err := m.client.ScheduleClient().Create(m.t.Context(), client.ScheduleOptions{
		ID: id, Spec: client.ScheduleSpec{CronExpressions: []string{"0 5 * * *"}},
		Action: &client.ScheduleWorkflowAction{ID: "theirs", Workflow: "theirs", TaskQueue: "theirs"},
	})
	require.NoError(m.t, err)
}

// edit changes a schedule's input by hand.
func (m *monitored) edit(id string) {
	m.t.Helper()
	payload, err := converter.GetDefaultDataConverter().ToPayload("by hand")
	require.NoError(m.t, err)
	err = m.client.ScheduleClient().GetHandle(m.t.Context(), id).Update(m.t.Context(), client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := in.Description.Schedule
			action := schedule.Action.(*client.ScheduleWorkflowAction)
			action.Args = []any{payload}
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	})
	require.NoError(m.t, err)
}

// scrape is what a process exposes.
func scrape(t *testing.T, port string) map[string]*dto.MetricFamily {
	t.Helper()
	response, err := http.Get("http://127.0.0.1:" + port + "/metrics")
	require.NoError(t, err)
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	require.NoError(t, err)
	return families
}

// series are those of the metrics with a prefix, each as its name and labels, without the project and revision.
func series(families map[string]*dto.MetricFamily, prefix string) (found []string) {
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		for _, metric := range families[name].GetMetric() {
			labels := name
			for _, label := range metric.GetLabel() {
				if !slices.Contains([]string{"project", "desired", "applied"}, label.GetName()) {
					labels += " " + label.String()
				}
			}
			found = append(found, labels)
		}
	}
	slices.Sort(found)
	return found
}

// freePorts are held until all are known, so that none is handed out twice.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	held := make([]net.Listener, n)
	for i := range held {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		_, port, err := net.SplitHostPort(listener.Addr().String())
		require.NoError(t, err)
		held[i], ports = listener, append(ports, port)
	}
	for _, listener := range held {
		require.NoError(t, listener.Close())
	}
	return ports
}
