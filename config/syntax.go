package config

import (
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// syntaxProblem says what the YAML parser could not read, in words that name the remedy.
func (d *document) syntaxProblem(text []byte, err error) {
	var failure *yaml.LoadError
	if !errors.As(err, &failure) {
		d.add(0, 0, "invalid YAML: "+err.Error())
		return
	}
	mark, message := explainSyntax(failure, lineAt(text, failure.Mark.Line))
	// Where something is missing at the end of the text, the YAML parser counts a line that does not exist.
	if line, column := place(text); mark.Line > line {
		mark.Line, mark.Column = line, column
	}
	d.add(mark.Line, mark.Column, message)
}

// lineBreak is what YAML takes for the end of a line.
var lineBreak = regexp.MustCompile("\r\n|[\n\r\u0085\u2028\u2029]")

// place is where a text ends.
func place(text []byte) (line, column int) {
	lines := lineBreak.Split(string(text), -1)
	return len(lines), utf8.RuneCountInString(lines[len(lines)-1]) + 1
}

func explainSyntax(failure *yaml.LoadError, line string) (yaml.Mark, string) {
	says := func(part string) bool { return strings.Contains(failure.Message, part) }
	within := func(part string) bool { return strings.Contains(failure.ContextMsg, part) }
	switch {
	case says("values nest more than"):
		return failure.Mark, failure.Message
	case says("unexpected end of stream") && within("quoted scalar"):
		return failure.ContextMark, "invalid YAML: the quote that opens here is never closed"
	case says("unknown anchor"):
		return failure.Mark, "invalid YAML: " + failure.Message + ": define it above, or put the text in quotes"
	case needsQuotes(line) != "":
		return failure.Mark, "invalid YAML: put a value that begins with " + needsQuotes(line) + " in quotes"
	case says("tab character"), strings.HasPrefix(line, "\t"):
		return failure.Mark, "invalid YAML: indent with spaces, not with tabs"
	case within("flow sequence"):
		return failure.ContextMark, "invalid YAML: the list that opens here with [ is not closed with ], or lacks a comma"
	case within("flow mapping"):
		return failure.ContextMark, "invalid YAML: the mapping that opens here with { is not closed with }, or lacks a comma"
	case says("mapping values are not allowed"):
		return failure.Mark, `invalid YAML: unexpected ":" - correct the indentation, or put text that contains ": " in quotes`
	case says("did not find expected"):
		return failure.Mark, "invalid YAML: " + failure.Message + ": correct the indentation or the quotes here"
	}
	return failure.Mark, "invalid YAML: " + failure.Message
}

// needsQuotes returns the character at the start of the line's value that YAML keeps for itself. An
// unquoted cron (* * * * *, @daily) and an unquoted template ({{ … }}) are what people run into.
func needsQuotes(line string) string {
	_, value, found := strings.Cut(line, ": ")
	if !found {
		value = strings.TrimPrefix(strings.TrimSpace(line), "- ")
	}
	value = strings.TrimSpace(value)
	for _, reserved := range []string{"*", "@", "%", "`", "{{"} {
		if strings.HasPrefix(value, reserved) {
			return reserved
		}
	}
	return ""
}

func lineAt(text []byte, number int) string {
	lines := strings.SplitN(string(text), "\n", number+1)
	if number < 1 || number > len(lines) {
		return ""
	}
	return strings.TrimSuffix(lines[number-1], "\r")
}
