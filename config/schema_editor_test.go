package config_test

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/compozy/schedules/config"
)

// editor checks YAML against a schema, as an editor does.
type editor struct {
	name     string
	document map[string]any
	compiler *jsonschema.Compiler
	schema   *jsonschema.Schema
}

func newEditor(t *testing.T, kind config.SchemaKind) editor {
	t.Helper()
	text, err := config.Schema(kind)
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	e := editor{name: string(kind), document: document.(map[string]any), compiler: jsonschema.NewCompiler()}
	e.compiler.AssertFormat()
	require.NoError(t, e.compiler.AddResource(e.url("#"), document))
	e.schema, err = e.compiler.Compile(e.url("#"))
	require.NoError(t, err)
	assert.Equal(t, 2020, e.schema.DraftVersion)
	return e
}

func (e editor) url(pointer string) string { return "test:///" + e.name + pointer }

func (e editor) check(t *testing.T, text string) error {
	t.Helper()
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &document))
	return e.schema.Validate(asJSON(document.Content[0]))
}

// at is the part of the schema at a path.
func (e editor) at(t *testing.T, path ...string) map[string]any {
	t.Helper()
	part := e.document
	for _, name := range path {
		require.Contains(t, part, name)
		part = part[name].(map[string]any)
	}
	return part
}

// walk looks at a part of the schema and at all below it.
func (e editor) walk(t *testing.T, pointer string, part map[string]any) {
	t.Helper()
	schema, err := e.compiler.Compile(e.url(pointer))
	require.NoError(t, err)
	for _, example := range schema.Examples {
		assert.NoError(t, schema.Validate(example), pointer)
	}
	if schema.Default != nil {
		assert.NoError(t, schema.Validate(*schema.Default), pointer)
	}
	for _, group := range []string{"properties", "$defs"} {
		members, _ := part[group].(map[string]any)
		for name, member := range members {
			below := member.(map[string]any)
			if group == "properties" {
				assert.NotEmpty(t, below["description"], pointer+"/"+name)
			}
			e.walk(t, pointer+"/"+group+"/"+name, below)
		}
	}
	if items, ok := part["items"].(map[string]any); ok {
		e.walk(t, pointer+"/items", items)
	}
}

// asJSON is a YAML value as editors see it: times are text, keys are text, merge keys are followed.
func asJSON(n *yaml.Node) any {
	switch n.Kind {
	case yaml.AliasNode:
		return asJSON(n.Alias)
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.ShortTag() != "!!merge" {
				object[key.Value] = asJSON(n.Content[i+1])
				continue
			}
			merged := asJSON(n.Content[i+1])
			if one, ok := merged.(map[string]any); ok {
				merged = []any{one}
			}
			for _, entry := range merged.([]any) {
				for name, value := range entry.(map[string]any) {
					if _, ok := object[name]; !ok {
						object[name] = value
					}
				}
			}
		}
		return object
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, entry := range n.Content {
			list[i] = asJSON(entry)
		}
		return list
	}
	var plain any
	if tag := n.ShortTag(); tag == "!!timestamp" || n.Decode(&plain) != nil {
		return n.Value
	}
	return plain
}
