// Command trim cuts Kubernetes' and the Prometheus operator's own type descriptions down to the kinds that
// deploy/kubernetes uses, and closes them: a field that they do not know becomes an error, as in
// `kubectl apply`. k8s.io/api would say the same, and would weigh on everyone who builds this module.
//
//	go mod download k8s.io/kubernetes@v1.34.1 github.com/prometheus-operator/prometheus-operator@v0.85.0   # in an empty module
//	go run ./deploy/testdata/trim "$(go env GOMODCACHE)" > deploy/testdata/kubernetes.schema.json
package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

const (
	openAPI  = "k8s.io/kubernetes@v1.34.1/api/openapi-spec/v3"
	operator = "github.com/prometheus-operator/prometheus-operator@v0.85.0/jsonnet/prometheus-operator/servicemonitors-crd.json"

	prefix = "#/components/schemas/"
)

// kinds names each description by `apiVersion kind`, as a manifest does.
var kinds = []struct{ name, file, schema string }{
	{"apps/v1 Deployment", "apis__apps__v1_openapi.json", "io.k8s.api.apps.v1.Deployment"},
	{"networking.k8s.io/v1 NetworkPolicy", "apis__networking.k8s.io__v1_openapi.json", "io.k8s.api.networking.v1.NetworkPolicy"},
	{"policy/v1 PodDisruptionBudget", "apis__policy__v1_openapi.json", "io.k8s.api.policy.v1.PodDisruptionBudget"},
	{"v1 ConfigMap", "api__v1_openapi.json", "io.k8s.api.core.v1.ConfigMap"},
	{"v1 Service", "api__v1_openapi.json", "io.k8s.api.core.v1.Service"},
	{"v1 ServiceAccount", "api__v1_openapi.json", "io.k8s.api.core.v1.ServiceAccount"},
}

func main() {
	if len(os.Args) != 2 {
		slog.Error("usage: trim MODULE_CACHE")
		os.Exit(1)
	}
	if err := trim(os.Args[1]); err != nil {
		slog.Error("trim", "error", err)
		os.Exit(1)
	}
}

func trim(cache string) error {
	defs := map[string]any{}
	for _, kind := range kinds {
		var doc struct {
			Components struct {
				Schemas map[string]any `json:"schemas"`
			} `json:"components"`
		}
		if err := read(filepath.Join(cache, openAPI, kind.file), &doc); err != nil {
			return err
		}
		if err := follow(doc.Components.Schemas, kind.schema, defs); err != nil {
			return err
		}
		defs[kind.name] = defs[kind.schema]
		delete(defs, kind.schema)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := read(filepath.Join(cache, operator), &crd); err != nil {
		return err
	}
	monitor, ok := closed(crd.Spec.Versions[0].Schema.OpenAPIV3Schema).(map[string]any)
	if !ok {
		return fmt.Errorf("%s has no schema", operator)
	}
	monitor["properties"].(map[string]any)["metadata"] = map[string]any{
		"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
	}
	defs["monitoring.coreos.com/v1 ServiceMonitor"] = monitor
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	return encoder.Encode(map[string]any{
		"$schema":  "https://json-schema.org/draft/2020-12/schema",
		"$comment": "made by deploy/testdata/trim of " + openAPI + " and " + operator + " (both Apache License 2.0)",
		"$defs":    defs,
	})
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// follow takes a schema and all that it refers to.
func follow(schemas map[string]any, name string, defs map[string]any) error {
	if defs[name] != nil {
		return nil
	}
	schema, ok := schemas[name]
	if !ok {
		return fmt.Errorf("no schema %s", name)
	}
	defs[name] = closed(schema)
	text, err := json.Marshal(defs[name])
	if err != nil {
		return err
	}
	for i, part := range strings.Split(string(text), `"#/$defs/`) {
		if i == 0 {
			continue
		}
		other, _, _ := strings.Cut(part, `"`)
		if err := follow(schemas, other, defs); err != nil {
			return err
		}
	}
	return nil
}

// closed leaves what a manifest is checked by. The server's own fields go: nobody writes them in a file.
func closed(node any) any {
	switch node := node.(type) {
	case []any:
		list := make([]any, len(node))
		for i, entry := range node {
			list[i] = closed(entry)
		}
		return list
	case map[string]any:
		return closedSchema(node)
	}
	return node
}

func closedSchema(schema map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range schema {
		switch key {
		case "type", "enum", "required", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems":
			out[key] = value
		case "items", "additionalProperties", "allOf", "anyOf", "oneOf":
			out[key] = closed(value)
		case "$ref":
			out[key] = "#/$defs/" + strings.TrimPrefix(value.(string), prefix)
		case "properties":
			properties := map[string]any{}
			for name, property := range value.(map[string]any) {
				if name != "status" && name != "managedFields" {
					properties[name] = closed(property)
				}
			}
			out[key] = properties
			out["additionalProperties"] = false
		}
	}
	return out
}
