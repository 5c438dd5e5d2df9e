package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// value is a key's value in a document, to be read as one type or another. Each reader reports what
// is wrong in words for people, at the value's place, and then returns false.
type value struct {
	doc *document
	// name is what messages call it: cron, input.day, tags[0].
	name string
	// key is nil for an entry of a list. node has its alias followed.
	key, node *yaml.Node
}

// block is a mapping whose keys are to be read.
type block struct {
	value
	keys map[string]value
}

// at is the place of a value: its key where the value itself has no good one.
func (v value) at() *yaml.Node {
	if v.key != nil && (v.node.Kind != yaml.ScalarNode || v.node.Value == "") {
		return v.key
	}
	return v.node
}

func (v value) problem(format string, args ...any) {
	v.doc.problem(v.at(), format, args...)
}

// wrong reports a value of the wrong type.
func (v value) wrong(remedy string) {
	if isNull(v.node) {
		remedy = "write a value, or remove the key"
	}
	v.problem("%s is %s: %s", v.name, describe(v.node), remedy)
}

// mapping reads a mapping and leaves keys that nobody asks for alone.
func (v value) mapping() (block, bool) {
	if v.node.Kind != yaml.MappingNode {
		v.wrong("write keys and values below it")
		return block{}, false
	}
	return v.open(), true
}

// block reads a mapping of ours: any key but the known ones is a problem, since a misspelt key would
// otherwise be a setting that silently does nothing.
func (v value) block(known ...string) (block, bool) {
	b, ok := v.mapping()
	if !ok {
		return b, false
	}
	v.onlyTextKeys()
	for _, name := range slices.Sorted(maps.Keys(b.keys)) {
		if !slices.Contains(known, name) {
			v.doc.problem(b.keys[name].key, "unknown key %q in %s: %s", clip(name), v.name, hint(name, known))
		}
	}
	return b, true
}

// open collects the keys of a mapping with its merge keys (<<) applied: its own keys win over merged
// ones, and earlier merged ones over later.
func (v value) open() block {
	b := block{value: v, keys: map[string]value{}}
	var merged []*yaml.Node
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, node := follow(v.node.Content[i]), follow(v.node.Content[i+1])
		switch {
		case key.ShortTag() == "!!merge":
			merged = append(merged, node)
		case key.Kind == yaml.ScalarNode:
			if _, ok := b.keys[key.Value]; !ok {
				b.keys[key.Value] = value{doc: v.doc, name: key.Value, key: v.node.Content[i], node: node}
			}
		}
	}
	for _, node := range merged {
		b.merge(node)
	}
	return b
}

func (b block) merge(node *yaml.Node) {
	switch node.Kind {
	case yaml.MappingNode:
		for name, v := range (value{doc: b.doc, node: node}).open().keys {
			if _, ok := b.keys[name]; !ok {
				b.keys[name] = v
			}
		}
	case yaml.SequenceNode:
		for _, entry := range node.Content {
			if entry = follow(entry); entry.Kind == yaml.MappingNode {
				b.merge(entry)
			}
		}
	}
}

// onlyTextKeys reports keys such as 1 or true, which JSON does not have, and merge keys without a
// mapping to merge.
func (v value) onlyTextKeys() bool {
	ok := true
	for i := 0; i+1 < len(v.node.Content); i += 2 {
		key, node := follow(v.node.Content[i]), follow(v.node.Content[i+1])
		switch {
		case key.ShortTag() == "!!merge" && !isMergeable(node):
			v.doc.problem(v.node.Content[i], "<< in %s merges %s: write an alias of a mapping, or a list of such", v.name, describe(node))
		case key.ShortTag() == "!!merge" || isText(key):
			continue
		default:
			v.doc.problem(v.node.Content[i], "a key in %s is %s: put it in quotes", v.name, describe(key))
		}
		ok = false
	}
	return ok
}

func isMergeable(n *yaml.Node) bool {
	notMapping := func(entry *yaml.Node) bool { return follow(entry).Kind != yaml.MappingNode }
	return n.Kind == yaml.MappingNode || (n.Kind == yaml.SequenceNode && !slices.ContainsFunc(n.Content, notMapping))
}

// get returns the value of a key that is there.
func (b block) get(key string) (value, bool) {
	v, ok := b.keys[key]
	return v, ok
}

func (v value) text() (string, bool) {
	if isText(v.node) {
		return v.node.Value, true
	}
	if v.node.Kind == yaml.ScalarNode && !isNull(v.node) {
		v.wrong("put it in quotes")
	} else {
		v.wrong("write one text")
	}
	return "", false
}

func (v value) boolean() (bool, bool) {
	var b bool
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!bool" && v.node.Decode(&b) == nil {
		return b, true
	}
	v.wrong("write true or false")
	return false, false
}

func (v value) duration() (time.Duration, bool) {
	text, ok := v.durationText()
	if !ok {
		return 0, false
	}
	d, err := ParseDuration(v.name, text)
	if err != nil {
		v.problem("%s", err)
		return 0, false
	}
	return d, true
}

func (v value) durationText() (string, bool) {
	if isText(v.node) {
		return v.node.Value, true
	}
	v.wrong("write a duration with its unit, such as 90s, 5m or 1h30m")
	return "", false
}

// time reads RFC 3339. The zone is what people forget, and no zone is the right guess.
func (v value) time() (time.Time, bool) {
	if !isText(v.node) {
		v.wrong("write a time such as 2027-01-01T09:00:00Z")
		return time.Time{}, false
	}
	text := v.node.Value
	t, err := time.Parse(time.RFC3339, text)
	if err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			full := t.Format("2006-01-02T15:04:05")
			v.problem("%s %q has no time zone: write %sZ for UTC, or an offset as in %s+02:00", v.name, text, full, full)
			return time.Time{}, false
		}
	}
	v.problem("invalid %s %q: write a time such as 2027-01-01T09:00:00Z", v.name, clip(text))
	return time.Time{}, false
}

func (v value) number() (float64, bool) {
	switch n, _ := decodeNumber(v.node); n := n.(type) {
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float64:
		return n, true
	}
	v.wrong("write a number")
	return 0, false
}

func (v value) count() (int32, bool) {
	if n, ok := decodeNumber(v.node); ok {
		if n, ok := n.(int64); ok && n >= 0 && n <= math.MaxInt32 {
			return int32(n), true
		}
	}
	v.wrong("write a whole number, 0 or more")
	return 0, false
}

// list returns the entries of a list.
func (v value) list() ([]value, bool) {
	if v.node.Kind != yaml.SequenceNode {
		v.wrong("write a list, each entry on a line that begins with -")
		return nil, false
	}
	entries := make([]value, len(v.node.Content))
	for i, node := range v.node.Content {
		entries[i] = value{doc: v.doc, name: fmt.Sprintf("%s[%d]", v.name, i), node: follow(node)}
	}
	return entries, true
}

func (v value) texts() ([]string, bool) {
	entries, ok := v.list()
	texts := make([]string, len(entries))
	for i, entry := range entries {
		text, valid := entry.text()
		texts[i], ok = text, ok && valid
	}
	return texts, ok
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}

// isText accepts dates too: YAML gives 2027-01-01 a type of its own, JSON does not.
func isText(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp")
}

// describe says what a node is, for messages.
func describe(n *yaml.Node) string {
	switch {
	case isNull(n):
		return "empty"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return fmt.Sprintf("the text %q", clip(n.Value))
	case "!!bool":
		return "the value " + clip(n.Value)
	case "!!int", "!!float":
		return "the number " + clip(n.Value)
	case "!!timestamp":
		return "the date " + clip(n.Value)
	}
	return "a value with the tag " + clip(n.ShortTag())
}

// clip keeps messages to one readable line.
func clip(text string) string {
	const limit = 60
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return text
}
