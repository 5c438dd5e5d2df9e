package config

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed schema/*.json
var schemas embed.FS

// SchemaKind is a kind of file that has a JSON Schema.
type SchemaKind string

// The kinds of files.
const (
	SchemaWorkflow SchemaKind = "workflow"
	SchemaProject  SchemaKind = "project"
)

// SchemaKinds lists every kind in the order that documentation and error messages use.
func SchemaKinds() []SchemaKind {
	return []SchemaKind{SchemaWorkflow, SchemaProject}
}

// Schema returns the JSON Schema (draft 2020-12) of a kind of file, for editors. Load is stricter: it
// also knows what a schema cannot say, such as which days and zones exist. The error is about an unknown
// kind.
func Schema(kind SchemaKind) ([]byte, error) {
	names := make([]string, 0, len(SchemaKinds()))
	for _, known := range SchemaKinds() {
		if kind == known {
			return schemas.ReadFile("schema/" + string(kind) + ".json")
		}
		names = append(names, string(known))
	}
	return nil, fmt.Errorf("there is no schema of %q: use %s", clip(string(kind)), strings.Join(names, " or "))
}
