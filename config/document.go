package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Limits of one YAML file. People's files come nowhere near them; what does is a mistake or an attack.
const (
	// maxFileSize is in bytes.
	maxFileSize = 1 << 20
	// maxDepth is how deep lists and mappings may nest.
	maxDepth = 200
	// maxProblems is how many problems of one file are reported.
	maxProblems = 100
	// maxExpansion bounds what aliases add to a file when each is replaced by what it stands for:
	// a byte of text counts one, and so does each value. Nine lines of YAML can ask for gigabytes.
	maxExpansion = 1 << 20
)

// document is one parsed YAML file, with the problems found in it so far.
type document struct {
	// name is the file's path relative to the project directory, with slashes.
	name string
	// root is the file's mapping; nil where the problems allow no further reading.
	root     *yaml.Node
	problems Problems
	// reported counts the problems, also those that the loader has taken.
	reported int
}

// parseDocument reads one YAML document. Problems of the file as a whole leave root nil. The parser is
// the YAML organisation's own: goccy/go-yaml takes minutes over some files of a mebibyte (wide mappings,
// many anchors), and v3 of this one names no columns.
func parseDocument(name string, text []byte) *document {
	d := &document{name: name}
	if d.checkText(text); len(d.problems) > 0 {
		return d
	}
	top, err := d.loadSingle(text)
	switch {
	case errors.Is(err, io.EOF):
		d.add(0, 0, "the file is empty: write its keys, or remove the file")
	case err != nil:
		d.syntaxProblem(text, err)
	case len(d.problems) > 0:
	case isNull(top):
		d.add(0, 0, "the file is empty: write its keys, or remove the file")
	case top.Kind != yaml.MappingNode:
		d.problem(top, "the file is %s: write keys and values, such as id: daily-report", describe(top))
	default:
		if checkStructure(d, top) {
			d.root = top
		}
	}
	return d
}

// loadSingle returns the content of the only document, io.EOF where there is none.
func (d *document) loadSingle(text []byte) (*yaml.Node, error) {
	limits := loaderlimits.New(loaderlimits.DepthFunc(func(depth int, _ *yaml.DepthContext) error {
		if depth > maxDepth {
			return fmt.Errorf("values nest more than %d deep: flatten them", maxDepth)
		}
		return nil
	}))
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithPlugin(limits))
	if err != nil {
		return nil, err
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err != nil {
		return nil, err
	}
	switch err := loader.Load(&second); {
	case err == nil:
		d.problem(&second, "a second YAML document begins here: keep one document in a file")
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	if len(first.Content) == 0 {
		return nil, io.EOF
	}
	return first.Content[0], nil
}

// checkText refuses what is no text, with its place: the YAML reader would name none.
func (d *document) checkText(text []byte) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		message := ""
		switch {
		case r == utf8.RuneError && size == 1:
			message = "the file is not UTF-8 text: save it as UTF-8"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			message = fmt.Sprintf("the file contains the control character U+%04X: remove it", r)
		}
		if message != "" {
			line, column := place(text[:i])
			d.add(line, column, message)
			return
		}
		i += size
	}
}

func (d *document) add(line, column int, message string) {
	switch d.reported++; {
	case d.reported == maxProblems:
		message = "there are too many problems in this file: repair those above first"
	case d.reported > maxProblems:
		return
	}
	// Parsers put line breaks into messages; a problem is one line.
	message = strings.Join(strings.FieldsFunc(message, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	d.problems = append(d.problems, Problem{File: d.name, Line: line, Column: column, Message: message})
}

func (d *document) problem(at *yaml.Node, format string, args ...any) {
	d.add(at.Line, at.Column, fmt.Sprintf(format, args...))
}

// checkStructure reports duplicate keys, and refuses aliases that contain themselves or would
// expand beyond all measure. Only after it is following aliases safe.
func checkStructure(d *document, top *yaml.Node) bool {
	s := structure{doc: d, weights: map[*yaml.Node]int{}}
	_, ok := s.weigh(top)
	return ok
}

type structure struct {
	doc *document
	// weights of anchored nodes; -1 while inside the node.
	weights map[*yaml.Node]int
	// expanded is the sum over all aliases of what each stands for.
	expanded int
}

// weigh returns what a node amounts to with its aliases followed, visiting each node once.
func (s *structure) weigh(n *yaml.Node) (int, bool) {
	if n.Kind == yaml.AliasNode {
		return s.weighAlias(n)
	}
	if n.Anchor != "" {
		s.weights[n] = -1
	}
	if n.Kind == yaml.MappingNode {
		s.checkKeys(n)
	}
	weight := 1 + len(n.Value)
	for _, child := range n.Content {
		w, ok := s.weigh(child)
		if !ok {
			return 0, false
		}
		weight += w
	}
	if n.Anchor != "" {
		s.weights[n] = weight
	}
	return weight, true
}

func (s *structure) weighAlias(n *yaml.Node) (int, bool) {
	weight := s.weights[n.Alias]
	if weight < 0 {
		s.doc.problem(n, "alias *%s is inside the value that it stands for: remove it", n.Value)
		return 0, false
	}
	if s.expanded += weight; s.expanded > maxExpansion {
		s.doc.problem(n, "the file's aliases expand to more than 1 MiB: use fewer of them")
		return 0, false
	}
	return weight, true
}

// checkKeys reports each key that its mapping has already. YAML forbids them, and one of the two
// values would be lost without a word.
func (s *structure) checkKeys(mapping *yaml.Node) {
	type name struct{ tag, text string }
	first := make(map[name]*yaml.Node, len(mapping.Content)/2)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key := follow(mapping.Content[i])
		if key == nil || key.Kind != yaml.ScalarNode {
			continue
		}
		n := name{key.ShortTag(), key.Value}
		if earlier, ok := first[n]; ok {
			s.doc.problem(mapping.Content[i], "key %q is already at line %d: remove one of the two", clip(key.Value), earlier.Line)
			continue
		}
		first[n] = mapping.Content[i]
	}
}

// follow returns what an alias stands for, and any other node itself.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
