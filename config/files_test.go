package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/config"
)

func source(text string) string { return "name: reports\nworkflows:\n  - source: " + text + "\n" }

// brokenProjects are mistakes in a project file, each with the one line that it must print.
var brokenProjects = []struct{ name, yaml, want string }{
	{"no name", "workflows: []\n", "1:1: name is missing: add the project's name, such as name: reports"},
	{"a name in capitals", "name: Reports\n", `1:7: invalid name "Reports": use a-z, 0-9 and -, a letter or digit first and last, at most 63 characters`},
	{"a name that ends in -", "name: reports-\n", `1:7: invalid name "reports-": use a-z, 0-9 and -, a letter or digit first and last, at most 63 characters`},
	{"a name of 64 characters", "name: " + strings.Repeat("x", 64) + "\n", `1:7: invalid name "` + strings.Repeat("x", 60) + `…": use a-z, 0-9 and -, a letter or digit first and last, at most 63 characters`},
	{"a name that is a number", "name: 7\n", "1:7: name is the number 7: put it in quotes"},
	{"workflows that are a mapping", "name: reports\nworkflows:\n  source: a\n", "2:1: workflows is a mapping: write a list, each entry on a line that begins with -"},
	{"an entry that is text", "name: reports\nworkflows:\n  - a.yaml\n", `3:5: workflows[0] is the text "a.yaml": write - source: ./workflows/*.yaml`},
	{"an entry without source", "name: reports\nworkflows:\n  - src: a.yaml\n", "3:5: workflows[0] has no source: write - source: ./workflows/*.yaml"},
	{"an empty source", source(`""`), `3:5: source "": it is empty: write ./workflows/*.yaml`},
	{"a glob that matches nothing", source("./flows/*.yml"), `3:13: source "./flows/*.yml": "flows": no such file: correct the path, or create it`},
	{"a glob that matches no file in its directory", source("./workflows/*.yml"), `3:13: source "./workflows/*.yml": no file matches: correct the path, or remove the entry`},
	{"a file that is not there", source("./workflows/weekly.yaml"), `3:13: source "./workflows/weekly.yaml": no such file: correct the path, or create it`},
	{"a directory as source", source("./workflows"), `3:13: source "./workflows": it is a directory: write workflows/*.yaml`},
	{"a file as directory", source("./compozy.yaml/*.yaml"), `3:13: source "./compozy.yaml/*.yaml": "compozy.yaml" is no directory: correct the path`},
	{"the project directory as source", source("./"), `3:13: source "./": it names the project directory: write ./workflows/*.yaml`},
	{"an absolute path", source("/etc/passwd"), `3:13: source "/etc/passwd": it is an absolute path: write it relative to the project directory`},
	{"a path that leaves the project", source("../other/*.yaml"), `3:13: source "../other/*.yaml": it leaves the project directory: remove the .. and keep the files inside`},
	{"a path that leaves the project half-way", source("workflows/../../x.yaml"), `3:13: source "workflows/../../x.yaml": it leaves the project directory: remove the .. and keep the files inside`},
	{"a broken pattern", source(`"workflows/[a.yaml"`), `3:13: source "workflows/[a.yaml": it is no valid pattern: close the [ or remove it`},
	{"an unknown key in temporal", "name: reports\ntemporal: {taskqueue: a}\n", `2:12: unknown key "taskqueue" in temporal: did you mean "task_queue"?`},
	{"a reserved task queue", "name: reports\ntemporal: {task_queue: __temporal_x}\n", `2:24: task_queue "__temporal_x" begins with __temporal, which Temporal keeps for itself: choose another name`},
	{"an empty task queue", "name: reports\ntemporal: {task_queue: \"\"}\n", `2:12: task_queue is empty: write a value, or remove the key`},
}

const duplicateID = `workflows/b.yaml:2:5: id "daily" is already the id of workflows/a.yaml:1:5: give one of the two another id`

func TestBrokenProjectFile(t *testing.T) {
	for _, test := range brokenProjects {
		t.Run("Should refuse "+test.name, func(t *testing.T) {
			dir := write(t, map[string]string{"compozy.yaml": test.yaml, "workflows/daily.yaml": goodWorkflow})
			_, err := config.Load(dir)
			assert.EqualError(t, err, "compozy.yaml:"+test.want)
		})
	}
}

func TestProblemsOfAllFiles(t *testing.T) {
	t.Run("Should report every problem of every file, sorted by place", func(t *testing.T) {
		dir := write(t, map[string]string{
			"compozy.yaml":     "name: Reports\nworkflows:\n  - source: ./workflows/*.yaml\n  - source: ./gone.yaml\n",
			"workflows/b.yaml": "id: b\nschedule:\n  cron: \"x\"\n  enabled: on\n  jitter: 5\n",
			"workflows/a.yaml": "id: a\nschedule: {cron: \"@daily\", tz: UTC}\n",
			"workflows/c.yaml": "id: [\n",
		})
		_, err := config.Load(dir)
		var problems config.Problems
		require.ErrorAs(t, err, &problems)
		places := make([]string, len(problems))
		for i, p := range problems {
			places[i], _, _ = strings.Cut(p.String(), ": ")
		}
		assert.Equal(t, []string{
			"compozy.yaml:1:7", "compozy.yaml:4:13", "workflows/a.yaml:2:28",
			"workflows/b.yaml:3:9", "workflows/b.yaml:4:12", "workflows/b.yaml:5:11", "workflows/c.yaml:2:1",
		}, places)
	})
	t.Run("Should name both places of a duplicate id", func(t *testing.T) {
		dir := write(t, map[string]string{
			"compozy.yaml": goodProject, "workflows/a.yaml": goodWorkflow, "workflows/b.yaml": "# copy\n" + goodWorkflow,
		})
		_, err := config.Load(dir)
		assert.EqualError(t, err, duplicateID)
	})
	t.Run("Should name both places of a schedule ID that two workflows have", func(t *testing.T) {
		dir := write(t, map[string]string{
			"compozy.yaml": goodProject, "workflows/a.yaml": goodWorkflow,
			"workflows/b.yaml": "id: nightly\nschedule:\n  cron: \"@daily\"\n  schedule_id: schedule-reports-daily\n",
		})
		_, err := config.Load(dir)
		assert.EqualError(t, err, "workflows/b.yaml:4:16: schedule ID \"schedule-reports-daily\" is already the schedule ID "+
			"of workflows/a.yaml:1:5: give one of the two another schedule_id")
	})
	t.Run("Should say what is wrong with the path itself", func(t *testing.T) {
		dir := t.TempDir()
		_, err := config.Load(filepath.Join(dir, "gone", "compozy.yaml"))
		assert.ErrorContains(t, err, "the project cannot be opened: no such file: correct the path, or create it")
		_, err = config.Load(dir)
		assert.EqualError(t, err, "compozy.yaml: the file cannot be read: no such file: correct the path, or create it")
	})
	t.Run("Should report a file that may not be read", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root reads everything")
		}
		dir := write(t, map[string]string{"compozy.yaml": goodProject, "workflows/daily.yaml": goodWorkflow})
		require.NoError(t, os.Chmod(filepath.Join(dir, "workflows/daily.yaml"), 0))
		_, err := config.Load(dir)
		assert.EqualError(t, err, "workflows/daily.yaml: the file cannot be read: permission denied: let this process read it")
	})
}

func TestSources(t *testing.T) {
	tests := []struct {
		name    string
		sources []string
		want    []string
	}{
		{"take a file", []string{"a.yaml"}, []string{"a"}},
		{"take a file by a path with ./", []string{"./sub/b.yaml"}, []string{"b"}},
		{"count a file once that two sources list", []string{"*.yaml", "a.yaml", "./a.yaml"}, []string{"a"}},
		{"not take the project file for a workflow", []string{"*.yaml"}, []string{"a"}},
		{"match one directory with *", []string{"*/*.yaml"}, []string{"b"}},
		{"match any directories with **", []string{"**/*.yaml"}, []string{"a", "b", "c"}},
		{"match below a directory with **", []string{"sub/**"}, []string{"b", "c"}},
		{"skip hidden names", []string{"**/h*.yaml", "*.yaml"}, []string{"a"}},
		{"take hidden names that are named", []string{".hidden/*.yaml"}, []string{"h"}},
	}
	files := map[string]string{
		"a.yaml": "id: a\n", "sub/b.yaml": "id: b\n", "sub/deep/er/c.yaml": "id: c\n", ".hidden/h.yaml": "id: h\n", "notes.txt": "x",
	}
	for _, test := range tests {
		t.Run("Should "+test.name, func(t *testing.T) {
			dir := write(t, files)
			text := "name: p\nworkflows:\n"
			for _, source := range test.sources {
				text += "  - source: \"" + source + "\"\n"
			}
			put(t, filepath.Join(dir, "compozy.yaml"), text)
			project, err := config.Load(dir)
			if test.name == "skip hidden names" {
				assert.ErrorContains(t, err, "no file matches")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, ids(project))
		})
	}
}

func ids(p *config.Project) []string {
	names := make([]string, len(p.Workflows))
	for i, w := range p.Workflows {
		names[i] = w.ID
	}
	return names
}

func TestLinks(t *testing.T) {
	outside := write(t, map[string]string{"secret.yaml": goodWorkflow, "dir/x.yaml": "id: x\n"})
	t.Run("Should refuse a link to a file outside", func(t *testing.T) {
		for _, source := range []string{"./workflows/*.yaml", "workflows/evil.yaml"} {
			dir := write(t, map[string]string{"compozy.yaml": "name: p\nworkflows:\n  - source: " + source + "\n"})
			link(t, filepath.Join(outside, "secret.yaml"), filepath.Join(dir, "workflows/evil.yaml"))
			_, err := config.Load(dir)
			assert.ErrorContains(t, err, "compozy.yaml:3:13: ")
			assert.ErrorContains(t, err, "it links to a place outside the project directory: keep the files inside")
		}
	})
	t.Run("Should refuse a link to a directory outside", func(t *testing.T) {
		for _, source := range []string{"workflows/*.yaml", "workflows/x.yaml", "**/*.yaml"} {
			dir := write(t, map[string]string{"compozy.yaml": "name: p\nworkflows:\n  - source: \"" + source + "\"\n"})
			link(t, filepath.Join(outside, "dir"), filepath.Join(dir, "workflows"))
			_, err := config.Load(dir)
			assert.ErrorContains(t, err, "outside the project directory", source)
		}
	})
	t.Run("Should refuse a project file that links outside", func(t *testing.T) {
		dir := t.TempDir()
		link(t, filepath.Join(outside, "secret.yaml"), filepath.Join(dir, "compozy.yaml"))
		_, err := config.Load(dir)
		assert.ErrorContains(t, err, "outside the project directory")
	})
	t.Run("Should take links inside, relative and absolute, each file once", func(t *testing.T) {
		dir := write(t, map[string]string{"compozy.yaml": goodProject, "real/daily.yaml": goodWorkflow})
		link(t, "../real/daily.yaml", filepath.Join(dir, "workflows/one.yaml"))
		link(t, filepath.Join(dir, "real/daily.yaml"), filepath.Join(dir, "workflows/two.yaml"))
		project, err := config.Load(dir)
		require.NoError(t, err)
		require.Equal(t, []string{"daily"}, ids(project))
		assert.Equal(t, "workflows/one.yaml", project.Workflows[0].File)
	})
	t.Run("Should report a link to nothing", func(t *testing.T) {
		dir := write(t, map[string]string{"compozy.yaml": goodProject})
		link(t, "gone.yaml", filepath.Join(dir, "workflows/daily.yaml"))
		_, err := config.Load(dir)
		assert.EqualError(t, err, `compozy.yaml:3:13: source "./workflows/*.yaml": "workflows/daily.yaml" is a link to nothing: correct or remove it`)
	})
	t.Run("Should end where links go round", func(t *testing.T) {
		dir := write(t, map[string]string{"compozy.yaml": "name: p\nworkflows:\n  - source: \"**/**/*.yaml\"\n", "a/b/daily.yaml": goodWorkflow})
		link(t, "../..", filepath.Join(dir, "a/b/up"))
		link(t, "..", filepath.Join(dir, "a/up"))
		project, err := config.Load(dir)
		require.NoError(t, err)
		assert.Equal(t, []string{"daily"}, ids(project))
	})
	t.Run("Should load through a project directory that is a link", func(t *testing.T) {
		real := write(t, map[string]string{"compozy.yaml": goodProject, "workflows/daily.yaml": goodWorkflow})
		dir := filepath.Join(t.TempDir(), "current")
		link(t, real, dir)
		for _, path := range []string{dir, filepath.Join(dir, "compozy.yaml")} {
			project, err := config.Load(path)
			require.NoError(t, err)
			assert.Equal(t, dir, project.Dir)
		}
	})
	t.Run("Should pass over a pipe instead of waiting for it", func(t *testing.T) {
		dir := write(t, map[string]string{"compozy.yaml": goodProject, "workflows/daily.yaml": goodWorkflow})
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "workflows/pipe.yaml"), 0o600))
		project, err := config.Load(dir)
		require.NoError(t, err)
		assert.Equal(t, []string{"daily"}, ids(project))
	})
}

// configMap lays files out as the kubelet does: links to ..data, itself a link to a dated directory.
func configMap(t *testing.T, sources string) string {
	t.Helper()
	dir := t.TempDir()
	dated := "..2026_11_23_00_31_00.123456789"
	put(t, filepath.Join(dir, dated, "compozy.yaml"), "name: p\nworkflows:\n  - source: \""+sources+"\"\n")
	put(t, filepath.Join(dir, dated, "daily.yaml"), goodWorkflow)
	put(t, filepath.Join(dir, dated, "workflows/weekly.yaml"), "id: weekly\n")
	link(t, dated, filepath.Join(dir, "..data"))
	for _, name := range []string{"compozy.yaml", "daily.yaml", "workflows"} {
		link(t, "..data/"+name, filepath.Join(dir, name))
	}
	return dir
}

func TestKubernetesMount(t *testing.T) {
	tests := []struct {
		source string
		want   []string
	}{
		{"*.yaml", []string{"daily"}},
		{"workflows/*.yaml", []string{"weekly"}},
		{"*/*.yaml", []string{"weekly"}},
		{"**/*.yaml", []string{"daily", "weekly"}},
		{"..data/*.yaml", []string{"daily"}},
	}
	for _, test := range tests {
		t.Run("Should load each file of a ConfigMap once with "+test.source, func(t *testing.T) {
			project, err := config.Load(configMap(t, test.source))
			require.NoError(t, err)
			assert.Equal(t, test.want, ids(project))
		})
	}
	t.Run("Should see the new files after the links are swapped, and the same revision for the same text", func(t *testing.T) {
		dir := configMap(t, "**/*.yaml")
		before, err := config.Load(dir)
		require.NoError(t, err)
		require.NoError(t, os.Rename(filepath.Join(dir, "..2026_11_23_00_31_00.123456789"), filepath.Join(dir, "..2026_12")))
		link(t, "..2026_12", filepath.Join(dir, "..data_tmp"))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		after, err := config.Load(dir)
		require.NoError(t, err)
		assert.Equal(t, before.Revision, after.Revision)
	})
}

func TestWatchDirs(t *testing.T) {
	t.Run("Should name the directories of sources, even of a broken project", func(t *testing.T) {
		dir := write(t, map[string]string{
			"compozy.yaml":     "name: BROKEN\nworkflows:\n  - source: \"flows/**/*.yaml\"\n  - source: gone/*.yaml\n",
			"flows/a/one.yaml": "id: [", "real/two.yaml": goodWorkflow,
		})
		link(t, "../../real/two.yaml", filepath.Join(dir, "flows/b/two.yaml"))
		want := []string{dir}
		for _, name := range []string{"flows", "flows/a", "flows/b", "real"} {
			want = append(want, filepath.Join(dir, name))
		}
		assert.Equal(t, want, config.WatchDirs(dir))
		assert.Equal(t, want, config.WatchDirs(filepath.Join(dir, "compozy.yaml")))
	})
	t.Run("Should name the place of a project that is not there", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "gone")
		assert.Equal(t, []string{dir}, config.WatchDirs(filepath.Join(dir, "compozy.yaml")))
	})
}

func TestLoadName(t *testing.T) {
	t.Run("Should read the name without the workflows", func(t *testing.T) {
		dir := write(t, map[string]string{"other.yml": "name: reports\nworkflows: {broken: true}\n"})
		name, err := config.LoadName(filepath.Join(dir, "other.yml"))
		require.NoError(t, err)
		assert.Equal(t, "reports", name)
	})
	t.Run("Should say why there is none", func(t *testing.T) {
		dir := write(t, map[string]string{"compozy.yaml": "name: a b\n"})
		_, err := config.LoadName(dir)
		assert.ErrorContains(t, err, `compozy.yaml:1:7: invalid name "a b"`)
		_, err = config.LoadName(t.TempDir())
		assert.ErrorContains(t, err, "compozy.yaml: the file cannot be read: no such file")
	})
}

func TestHostileFiles(t *testing.T) {
	tests := map[string]string{
		"a wide mapping":      wide("k%d: v\n"),
		"a wide flow list":    "id: daily\nx: [" + strings.Repeat("a,", 400_000) + "]\n",
		"many aliases":        "id: daily\na: &a x\nb: [" + strings.Repeat("*a,", 200_000) + "]\n",
		"many documents":      strings.Repeat("---\na\n", 150_000),
		"many anchors":        "a: " + strings.Repeat("&a ", 300_000) + "x",
		"open brackets":       strings.Repeat("[", 1_000_000),
		"open braces":         strings.Repeat("{", 1_000_000),
		"nested list marks":   strings.Repeat("- ", 500_000),
		"nested questions":    strings.Repeat("? ", 500_000),
		"an alias chain":      chain(20_000),
		"an alias bomb":       aliasBomb,
		"many duplicate keys": "id: daily\n" + strings.Repeat("a: b\n", 100_000),
	}
	for name, text := range tests {
		t.Run("Should be done soon with "+name, func(t *testing.T) {
			dir := write(t, map[string]string{"compozy.yaml": goodProject, "workflows/daily.yaml": text})
			begin := time.Now()
			_, _ = config.Load(dir)
			assert.Less(t, time.Since(begin), 15*time.Second)
		})
	}
}

func wide(line string) string {
	var text strings.Builder
	text.WriteString("id: daily\n")
	for i := range 60_000 {
		text.WriteString(strings.Replace(line, "%d", time.Duration(i).String(), 1))
	}
	return text.String()
}

func chain(n int) string {
	var text strings.Builder
	text.WriteString("id: daily\na0: &a0 [x]\n")
	name := func(i int) string { return "a" + time.Duration(i).String() }
	previous := "a0"
	for i := 1; i < n; i++ {
		text.WriteString(name(i) + ": &" + name(i) + " [*" + previous + "]\n")
		previous = name(i)
	}
	return text.String()
}
