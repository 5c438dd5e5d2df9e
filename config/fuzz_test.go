package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/compozy/schedules/config"
)

// FuzzLoad looks for texts that make Load panic, hang, or fail with anything but problems of one line.
func FuzzLoad(f *testing.F) {
	f.Add(goodProject, goodWorkflow)
	f.Add(compozyProject, compozyWorkflow)
	f.Add(goodProject, fullWorkflow)
	f.Add("name: p\nworkflows: [{source: '**'}]\n", aliasBomb)
	for _, test := range brokenWorkflows {
		if len(test.yaml) < 1000 {
			f.Add(goodProject, test.yaml)
		}
	}
	f.Fuzz(func(t *testing.T, project, workflow string) {
		dir := write(t, map[string]string{"compozy.yaml": project, "workflows/daily.yaml": workflow})
		loaded, err := config.Load(dir)
		var problems config.Problems
		switch {
		case err == nil && (loaded == nil || loaded.Name == "" || loaded.Revision == ""):
			t.Fatal("a loaded project lacks its name or revision")
		case err != nil && loaded != nil:
			t.Fatal("a broken project was returned")
		case err != nil && !errors.As(err, &problems):
			t.Fatalf("not a list of problems: %v", err)
		}
		for _, p := range problems {
			if p.File == "" || p.Message == "" || strings.ContainsAny(p.String(), "\n\r") {
				t.Fatalf("not one line that names its file: %q", p.String())
			}
		}
	})
}
