package api_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/compozy/schedules/activities"
	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/config"
	"github.com/compozy/schedules/workflows"
)

// The answers' schemas are held against the Go types that are written: a field that is missing in
// openapi.yaml is one that clients do not know of.
func TestSchemasAreTheTypes(t *testing.T) {
	doc := newRig(t).doc
	for schema, value := range map[string]any{
		"ScheduleInfo": manager.ScheduleInfo{}, "OverrideInfo": manager.OverrideInfo{}, "ListResult": manager.ListResult{},
		"WriteResult": manager.WriteResult{}, "RunInfo": manager.RunInfo{}, "RunsResult": manager.RunsResult{},
		"Difference": activities.Difference{}, "Schedule": config.Schedule{},
		"Status": workflows.Status{}, "Outcome": workflows.Outcome{}, "Options": workflows.Options{}, "Pass": workflows.Pass{},
		"Blocked": workflows.Blocked{}, "Correction": workflows.Correction{}, "Audit": workflows.Audit{},
		"Refused": workflows.Refused{}, "Counts": activities.Counts{}, "ScheduleProblem": activities.Problem{},
	} {
		t.Run("Should describe every field of "+schema, func(t *testing.T) {
			var fields, required []string
			for field := range fieldsOf(reflect.TypeOf(value)) {
				name, options, _ := strings.Cut(field, ",")
				fields = append(fields, name)
				if !strings.Contains(options, "omit") {
					required = append(required, name)
				}
			}
			described := doc.Components.Schemas[schema].Value
			assert.ElementsMatch(t, fields, slices.Collect(maps.Keys(described.Properties)))
			assert.ElementsMatch(t, required, described.Required)
		})
	}
}

func fieldsOf(t reflect.Type) map[string]bool {
	fields := map[string]bool{}
	for field := range t.Fields() {
		fields[field.Tag.Get("json")] = true
	}
	return fields
}

func TestOperationsHaveScopes(t *testing.T) {
	for path, item := range newRig(t).doc.Paths.Map() {
		for method, op := range item.Operations() {
			t.Run("Should say who may call "+method+" "+path, func(t *testing.T) {
				if op.Security != nil {
					assert.Empty(t, *op.Security)
					assert.Contains(t, op.Tags, "process")
					return
				}
				want := config.ScopeWrite
				if method == "GET" {
					want = config.ScopeRead
				}
				assert.Equal(t, want, op.Extensions["x-scope"])
			})
		}
	}
}
