package cmd_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkout makes a repository with a project below it, in which the test then runs.
func checkout(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for name, text := range files {
		writeFile(t, filepath.Join(root, name), text)
	}
	t.Chdir(root)
	return root
}

const (
	validProject  = "name: reports\nworkflows:\n  - source: ./workflows/*.yaml\n"
	nightWorkflow = "id: night\nschedule: {cron: \"30 2 * * *\", timezone: America/New_York}\n"
)

func TestValidateJSON(t *testing.T) {
	t.Run("Should print a valid project, with its warnings and without anything else", func(t *testing.T) {
		checkout(t, map[string]string{"jobs/compozy.yaml": validProject, "jobs/workflows/a.yaml": nightWorkflow, "jobs/workflows/b.yaml": "id: b\n"})
		got := runIn(t, nil, false, "validate", "--project", "jobs", "-o", "json")
		assert.Equal(t, 0, got.code)
		assert.Empty(t, got.stderr)
		var printed struct {
			Revision string
			Problems []any
			Warnings []struct{ File, Message string }
		}
		require.NoError(t, json.Unmarshal([]byte(got.stdout), &printed))
		assert.NotNil(t, printed.Problems)
		require.Len(t, printed.Warnings, 1)
		assert.Equal(t, "workflows/a.yaml", printed.Warnings[0].File)
		assert.Contains(t, printed.Warnings[0].Message, "is skipped")
		assert.JSONEq(t, `{"valid":true,"project":"reports","workflows":2,"schedules":1}`,
			without(t, got.stdout, "revision", "problems", "warnings"))

		text := runIn(t, nil, false, "validate", "--project", "jobs")
		assert.Equal(t, "project reports is valid: 2 workflows, 1 schedule, revision "+printed.Revision+"\n", text.stdout)
		assert.Equal(t, "workflows/a.yaml: warning: "+printed.Warnings[0].Message+"\n", text.stderr)
	})
	t.Run("Should print the problems, once, and exit 1", func(t *testing.T) {
		checkout(t, map[string]string{
			"compozy.yaml": validProject, "workflows/a.yaml": "id: a\nschedule: {cron: \"@daily\", timezon: UTC}\n", "workflows/b.yaml": "",
		})
		got := runIn(t, nil, false, "validate", "-o", "json")
		assert.Equal(t, 1, got.code)
		assert.Empty(t, got.stderr)
		assert.JSONEq(t, `{"valid":false,"project":"","revision":"","workflows":0,"schedules":0,"warnings":[],"problems":[
			{"file":"workflows/a.yaml","line":2,"column":28,"message":"unknown key \"timezon\" in schedule: did you mean \"timezone\"?"},
			{"file":"workflows/b.yaml","message":"the file is empty: write its keys, or remove the file"}]}`, got.stdout)
	})
}

// without is a JSON object without some of its keys.
func without(t *testing.T, text string, keys ...string) string {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &object))
	for _, key := range keys {
		require.Contains(t, object, key)
		delete(object, key)
	}
	rest, err := json.Marshal(object)
	require.NoError(t, err)
	return string(rest)
}

func TestValidateGitHub(t *testing.T) {
	const typo = "id: a\nschedule: {cron: \"@daily\", timezon: UTC}\n"
	const annotation = `,line=2,col=28::unknown key "timezon" in schedule: did you mean "timezone"?` + "\nthe project is not valid: 1 problem\n"
	broken := map[string]string{"jobs/compozy.yaml": validProject, "jobs/workflows/a.yaml": typo}

	t.Run("Should annotate a mistake at its path in the repository, print it once, and exit 1", func(t *testing.T) {
		root := checkout(t, broken)
		for _, project := range []string{"jobs", "./jobs/", "jobs/compozy.yaml", root + "/jobs", root + "/jobs/compozy.yaml"} {
			got := runIn(t, nil, false, "validate", "--project", project, "-o", "github")
			assert.Equal(t, result{1, "::error file=jobs/workflows/a.yaml" + annotation, ""}, got, project)
		}
	})
	t.Run("Should find the repository's root from a step's working-directory", func(t *testing.T) {
		root := checkout(t, broken)
		t.Chdir(filepath.Join(root, "jobs"))
		for _, variable := range []string{root, root + "/jobs/..", root + "/"} {
			got := runIn(t, []string{"GITHUB_WORKSPACE=" + variable}, false, "validate", "-o", "github")
			assert.Equal(t, "::error file=jobs/workflows/a.yaml"+annotation, got.stdout)
		}
		for _, variable := range []string{"", t.TempDir(), "relative"} {
			got := runIn(t, []string{"GITHUB_WORKSPACE=" + variable}, false, "validate", "-o", "github")
			assert.Equal(t, "::error file=workflows/a.yaml"+annotation, got.stdout, "the working directory counts")
		}
	})
	t.Run("Should keep the absolute path of a file outside", func(t *testing.T) {
		root := checkout(t, broken)
		t.Chdir(t.TempDir())
		got := runIn(t, nil, false, "validate", "--project", root+"/jobs", "-o", "github")
		assert.Equal(t, "::error file="+filepath.ToSlash(root)+"/jobs/workflows/a.yaml"+annotation, got.stdout)
	})
	t.Run("Should annotate a whole file without a line", func(t *testing.T) {
		checkout(t, map[string]string{"compozy.yaml": validProject, "workflows/a.yaml": ""})
		got := runIn(t, nil, false, "validate", "-o", "github")
		assert.Equal(t, "::error file=workflows/a.yaml::the file is empty: write its keys, or remove the file\n"+
			"the project is not valid: 1 problem\n", got.stdout)
	})
	t.Run("Should name a project that is not there as it was given", func(t *testing.T) {
		checkout(t, nil)
		for _, project := range []string{"gone", "gone/too/compozy.yaml"} {
			got := runIn(t, nil, false, "validate", "--project", project, "-o", "github")
			assert.Equal(t, 1, got.code)
			assert.True(t, strings.HasPrefix(got.stdout, "::error file="+project+"::"), got.stdout)
		}
	})
	t.Run("Should escape what would end a property, a message or a command", func(t *testing.T) {
		checkout(t, map[string]string{
			"50%/compozy.yaml":          "name: reports\nworkflows: [{source: '*.yml'}]\n",
			"50%/a,line=7::\r\n%0A.yml": "id: 'a::set-output,100%0A\r'\n",
		})
		got := runIn(t, nil, false, "validate", "--project", "50%", "-o", "github")
		assert.Equal(t, `::error file=50%25/a%2Cline=7%3A%3A%0D%0A%250A.yml,line=1,col=5::invalid id "a::set-output,100%250A": `+
			"use a-z, 0-9, - and _, a letter or digit first and last, at most 63 characters\nthe project is not valid: 1 problem\n", got.stdout)
	})
	t.Run("Should warn of changing clocks and say that the project is valid", func(t *testing.T) {
		checkout(t, map[string]string{"jobs/compozy.yaml": validProject, "jobs/workflows/a.yaml": nightWorkflow})
		got := runIn(t, nil, false, "validate", "--project", "jobs", "-o", "github")
		assert.Equal(t, 0, got.code)
		assert.Empty(t, got.stderr)
		lines := strings.Split(got.stdout, "\n")
		assert.Regexp(t, `^::warning file=jobs/workflows/a\.yaml::the run of .* is skipped: the clocks go forward over it$`, lines[0])
		assert.Contains(t, lines[1], "project reports is valid: 1 workflow, 1 schedule, revision ")
	})
}

func TestValidateOutputs(t *testing.T) {
	t.Run("Should print the mistakes to stderr as text", func(t *testing.T) {
		checkout(t, map[string]string{"compozy.yaml": "name: Reports\n"})
		got := runIn(t, nil, false, "validate")
		assert.Equal(t, result{1, "", "compozy.yaml:1:7: invalid name \"Reports\": use a-z, 0-9 and -, a letter or digit first and last, " +
			"at most 63 characters\n"}, got)
	})
	t.Run("Should refuse an unknown output", func(t *testing.T) {
		got := runIn(t, nil, false, "validate", "-o", "xml")
		assert.Equal(t, result{1, "", "schedules: unknown output \"xml\": use text, json or github\n"}, got)
	})
}
