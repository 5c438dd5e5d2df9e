package cmd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"
)

// colour is a terminal's code for one.
type colour string

const (
	plain  colour = ""
	green  colour = "\x1b[32m"
	yellow colour = "\x1b[33m"
	red    colour = "\x1b[31m"
)

// table is text in columns. Cells come from elsewhere: what could steer a terminal is taken out of them.
type table struct {
	rows    [][]string
	colours []colour
	// below are lines that follow a row and keep no columns.
	below map[int][]string
}

func (t *table) row(c colour, cells ...string) {
	t.rows, t.colours = append(t.rows, cells), append(t.colours, c)
}

// line adds an indented line below the last row.
func (t *table) line(format string, values ...any) {
	if t.below == nil {
		t.below = map[int][]string{}
	}
	last := len(t.rows) - 1
	t.below[last] = append(t.below[last], "      "+oneLine(fmt.Sprintf(format, values...)))
}

// print writes the rows, coloured where out is a terminal.
func (t *table) print(env Environment) error {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, cells := range t.rows {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, oneLine(cell))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(t.rows) == 0 {
		return nil
	}
	coloured := hasColours(env)
	for i, line := range strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n") {
		line = strings.TrimRight(line, " ")
		if coloured && t.colours[i] != plain {
			line = string(t.colours[i]) + line + "\x1b[0m"
		}
		if _, err := fmt.Fprintln(env.Out, strings.Join(append([]string{line}, t.below[i]...), "\n")); err != nil {
			return err
		}
	}
	return nil
}

// hasColours is true on a terminal, unless NO_COLOR (https://no-color.org) forbids it.
func hasColours(env Environment) bool {
	if env.Coloured {
		return true
	}
	file, ok := env.Out.(*os.File)
	forbidden, _ := lookup(env.Environ).LookupEnv("NO_COLOR")
	return ok && forbidden == "" && term.IsTerminal(int(file.Fd()))
}

// oneLine makes text fit a line: line ends, tabs and what could steer a terminal become spaces.
func oneLine(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
}

// shorten cuts text to n characters.
func shorten(text string, n int) string {
	runes := []rune(text)
	if len(runes) <= n {
		return text
	}
	return string(runes[:n-1]) + "…"
}

// clock is a time of the person's own zone.
func clock(t time.Time) string { return t.Local().Format("Mon 2006-01-02 15:04:05 MST") }

// ago is a time in the past, in words.
func ago(t, now time.Time) string { return roughly(max(0, now.Sub(t))) + " ago" }

// say writes a line.
func say(out io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(out, format+"\n", args...)
	return err
}
