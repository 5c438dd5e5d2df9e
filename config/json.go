package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// json reads any value as plain JSON: map[string]any, []any, string, int64, uint64, float64, bool, nil.
func (v value) json() (any, bool) {
	switch v.node.Kind {
	case yaml.MappingNode:
		return v.jsonObject()
	case yaml.SequenceNode:
		return v.jsonList()
	}
	switch v.node.ShortTag() {
	case "!!str", "!!timestamp":
		return v.node.Value, true
	case "!!null":
		return nil, true
	case "!!bool":
		return v.boolean()
	case "!!int", "!!float":
		return v.jsonNumber()
	}
	v.problem("%s is %s, which JSON does not have: remove the tag", v.name, describe(v.node))
	return nil, false
}

func (v value) jsonObject() (map[string]any, bool) {
	b, ok := v.mapping()
	if !ok {
		return nil, false
	}
	ok = v.onlyTextKeys()
	object := make(map[string]any, len(b.keys))
	for _, name := range slices.Sorted(maps.Keys(b.keys)) {
		entry := b.keys[name]
		entry.name = v.name + "." + name
		plain, valid := entry.json()
		object[name], ok = plain, ok && valid
	}
	return object, ok
}

func (v value) jsonList() ([]any, bool) {
	entries, ok := v.list()
	list := make([]any, len(entries))
	for i, entry := range entries {
		plain, valid := entry.json()
		list[i], ok = plain, ok && valid
	}
	return list, ok
}

func (v value) jsonNumber() (any, bool) {
	n, ok := decodeNumber(v.node)
	if !ok {
		v.wrong("JSON has no such number: put it in quotes")
	}
	return n, ok
}

// decodeNumber returns an int64, else a uint64, else a float64. It refuses infinities, NaN and
// integers that a float64 would change.
func decodeNumber(n *yaml.Node) (any, bool) {
	if tag := n.ShortTag(); n.Kind != yaml.ScalarNode || (tag != "!!int" && tag != "!!float") {
		return nil, false
	}
	var plain any
	if err := n.Decode(&plain); err != nil {
		return nil, false
	}
	switch number := plain.(type) {
	case int:
		return int64(number), true
	case int64, uint64:
		return number, true
	case float64:
		exact := strings.ContainsAny(n.Value, ".eE") || math.Abs(number) < 1<<53
		return number, exact && !math.IsNaN(number) && !math.IsInf(number, 0)
	}
	return nil, false
}

// jsonFault names the first part of a value that JSON cannot hold.
func jsonFault(name string, v any) error {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := jsonFault(name+"."+key, v[key]); err != nil {
				return err
			}
		}
	case []any:
		for i, entry := range v {
			if err := jsonFault(fmt.Sprintf("%s[%d]", name, i), entry); err != nil {
				return err
			}
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Errorf("%s is %v, which JSON does not have: write a finite number", name, v)
		}
	case nil, string, bool, int, int32, int64, uint64:
	default:
		return fmt.Errorf("%s is a Go %T, which JSON does not have", name, v)
	}
	return nil
}
