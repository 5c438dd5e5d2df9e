package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v4"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// schemaURL names a workflow's schema inside the JSON Schema compiler; nothing is ever fetched.
const schemaURL = "config:///input"

// checkInput checks a schedule's input, {} where there is none, against the workflow's schema.
func checkInput(top, schedule block, input map[string]any) {
	source, ok := findSchema(top)
	if !ok {
		return
	}
	schema := compileSchema(source)
	if schema == nil {
		return
	}
	given, at := schedule.value, schedule.value
	if v, ok := schedule.get("input"); ok {
		given, at = v, v
	}
	if input == nil {
		input = map[string]any{}
		given.node = &yaml.Node{Kind: yaml.MappingNode}
	}
	given.name = "input"
	var failure *jsonschema.ValidationError
	if err := schema.Validate(input); errors.As(err, &failure) {
		reportViolations(given, failure)
	} else if err != nil {
		at.problem("input cannot be checked against config.input: %s", err)
	}
}

// findSchema returns the schema in `config.input`, or the entry of `schemas` that it names.
func findSchema(top block) (value, bool) {
	config, ok := top.get("config")
	if !ok || config.node.Kind != yaml.MappingNode {
		return value{}, false
	}
	v, ok := config.open().get("input")
	v.name = "config.input"
	switch {
	case !ok || isNull(v.node):
		return value{}, false
	case v.node.Kind == yaml.MappingNode:
		return v, true
	case !isText(v.node):
		v.wrong("write a JSON Schema, or the id of an entry of schemas")
		return value{}, false
	}
	return findNamedSchema(top, v)
}

func findNamedSchema(top block, reference value) (value, bool) {
	var known []string
	if schemas, ok := top.get("schemas"); ok && schemas.node.Kind == yaml.SequenceNode {
		entries, _ := schemas.list()
		for _, entry := range entries {
			if entry.node.Kind != yaml.MappingNode {
				continue
			}
			id, ok := entry.open().get("id")
			if !ok || !isText(id.node) {
				continue
			}
			if id.node.Value == reference.node.Value {
				return entry, true
			}
			known = append(known, id.node.Value)
		}
	}
	remedy := "add it under schemas, or write the schema itself here"
	if len(known) > 0 {
		remedy = "the ids there are " + strings.Join(known, ", ")
	}
	reference.problem("config.input names %q, which is no id in schemas: %s", clip(reference.node.Value), remedy)
	return value{}, false
}

// noLoader keeps a schema's $ref from reading files or the network.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("other files and addresses are not read; write the schema here, under $defs")
}

// compileSchema reports an invalid schema at its place and then returns nil.
func compileSchema(source value) *jsonschema.Schema {
	plain, ok := source.jsonObject()
	if !ok {
		return nil
	}
	if source.key == nil {
		// An entry of a list carries the id we found it by. Old drafts would take it for its address.
		delete(plain, "id")
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	// Who writes `format: date` wants it checked.
	compiler.AssertFormat()
	compiler.UseLoader(noLoader{})
	if err := compiler.AddResource(schemaURL, plain); err != nil {
		reportInvalidSchema(source, err)
		return nil
	}
	schema, err := compiler.Compile(schemaURL)
	if err != nil {
		reportInvalidSchema(source, err)
		return nil
	}
	return schema
}

func reportInvalidSchema(source value, err error) {
	var mismatch *jsonschema.SchemaValidationError
	var failure *jsonschema.ValidationError
	if errors.As(err, &mismatch) && errors.As(mismatch.Err, &failure) {
		for _, leaf := range leaves(failure) {
			at, path := locate(source, leaf.InstanceLocation)
			at.problem("invalid schema: %s%s", colon(path), leaf.text)
		}
		return
	}
	at, text := source, err.Error()
	if regex, ok := errors.AsType[*jsonschema.InvalidRegexError](err); ok {
		at = locateURL(source, regex.URL)
		text = fmt.Sprintf("pattern %q is no regular expression that Go knows", clip(regex.Regex))
	}
	if load, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		text = fmt.Sprintf("it refers to %q: %s", clip(load.URL), load.Err)
	}
	at.problem("invalid schema: %s", strings.ReplaceAll(text, schemaURL, ""))
}

func reportViolations(input value, failure *jsonschema.ValidationError) {
	for _, leaf := range leaves(failure) {
		at, path := locate(input, leaf.InstanceLocation)
		switch e := leaf.ErrorKind.(type) {
		case *kind.AdditionalProperties:
			for _, name := range e.Properties {
				extra, path := locate(at.named(path), []string{name})
				extra.doc.problem(orKey(extra), "input does not fit config.input: %s is not in the schema: correct or remove it", path)
			}
		case *kind.Required:
			for _, name := range e.Missing {
				at.problem("input does not fit config.input: %s is missing: add it", dotted(path, []string{name}))
			}
		default:
			at.problem("input does not fit config.input: %s: %s", path, leaf.text)
		}
	}
}

func (v value) named(name string) value {
	v.name = name
	return v
}

func orKey(v value) *yaml.Node {
	if v.key != nil {
		return v.key
	}
	return v.node
}

// leaf is one violation in words.
type leaf struct {
	*jsonschema.ValidationError
	text string
}

// leaves flattens the tree of violations. Alternatives stay one violation: all of them have failed, and
// it is for the author to say which was meant.
func leaves(e *jsonschema.ValidationError) []leaf {
	printer := message.NewPrinter(language.English)
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		var ways []string
		for _, cause := range e.Causes {
			for _, l := range leaves(cause) {
				ways = append(ways, strings.TrimPrefix(dotted("", l.InstanceLocation[len(e.InstanceLocation):])+": "+l.text, ": "))
			}
		}
		text := "fits more than one of the alternatives"
		if len(ways) > 0 {
			text = "fits none of the alternatives: " + strings.Join(ways, "; or ")
		}
		return []leaf{{e, text}}
	}
	if _, ok := e.ErrorKind.(*kind.FalseSchema); ok {
		return []leaf{{e, "it is not allowed here: remove it"}}
	}
	if len(e.Causes) == 0 {
		return []leaf{{e, e.ErrorKind.LocalizedString(printer)}}
	}
	var all []leaf
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

// locate walks from a value along a JSON path as far as there is something, and returns the full
// path as people write it.
func locate(v value, path []string) (value, string) {
	name := v.name
	for i, token := range path {
		child, ok := v.child(token)
		if !ok {
			return v, dotted(name, path[i:])
		}
		v = child
		name = dotted(name, path[i:i+1])
	}
	return v, name
}

func (v value) child(token string) (value, bool) {
	switch v.node.Kind {
	case yaml.MappingNode:
		return v.open().get(token)
	case yaml.SequenceNode:
		entries, _ := v.list()
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(entries) {
			return entries[i], true
		}
	}
	return value{}, false
}

// locateURL finds the place that a schema location such as config:///input#/properties/day names.
func locateURL(source value, location string) value {
	_, fragment, _ := strings.Cut(location, "#/")
	if fragment == "" {
		return source
	}
	tokens := strings.Split(fragment, "/")
	for i, token := range tokens {
		if plain, err := url.PathUnescape(token); err == nil {
			token = plain
		}
		tokens[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
	}
	at, _ := locate(source, tokens)
	return at
}

func dotted(name string, path []string) string {
	for _, token := range path {
		if _, err := strconv.Atoi(token); err == nil {
			name += "[" + token + "]"
		} else {
			name = strings.TrimPrefix(name+"."+token, ".")
		}
	}
	return name
}

func colon(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}
