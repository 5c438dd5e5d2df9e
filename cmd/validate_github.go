package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// writeValidationGitHub prints GitHub's workflow commands, which become annotations of the lines
// (https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands).
func writeValidationGitHub(env Environment, path string, result validation) error {
	at := newRepositoryPaths(env, path)
	for _, p := range result.Problems {
		properties := "file=" + escapeProperty(at.path(p.File))
		if p.Line > 0 {
			properties += fmt.Sprintf(",line=%d,col=%d", p.Line, p.Column)
		}
		fmt.Fprintf(env.Out, "::error %s::%s\n", properties, escapeData(p.Message))
	}
	for _, w := range result.Warnings {
		fmt.Fprintf(env.Out, "::warning file=%s::%s\n", escapeProperty(at.path(w.File)), escapeData(w.Message))
	}
	if err := say(env.Out, "%s", result.summary()); err != nil {
		return err
	}
	return result.verdict()
}

// escapeData keeps a message in its line, as GitHub's own toolkit does.
func escapeData(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

// escapeProperty also keeps a value from ending its property.
func escapeProperty(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escapeData(text))
}

// repositoryPaths turns a project's files into paths from the root of the repository, since an
// annotation finds its line only by such a path.
type repositoryPaths struct {
	// given is the project as the command line names it, dir its directory.
	given, dir string
	// roots are where the repository may begin: the first that holds a file counts.
	roots []string
}

func newRepositoryPaths(env Environment, project string) repositoryPaths {
	p := repositoryPaths{given: project, dir: project}
	if info, err := os.Stat(project); err != nil || !info.IsDir() {
		p.dir = filepath.Dir(project)
	}
	// A step with a working-directory does not run at the root.
	if workspace, _ := lookup(env.Environ).LookupEnv("GITHUB_WORKSPACE"); workspace != "" {
		p.roots = append(p.roots, workspace)
	}
	if here, err := os.Getwd(); err == nil {
		p.roots = append(p.roots, here)
	}
	return p
}

// path is the way to a file of the project, with slashes. A file below no root keeps its absolute path.
func (p repositoryPaths) path(file string) string {
	name := filepath.Join(p.dir, filepath.FromSlash(file))
	if file == p.given && p.dir != p.given {
		name = file // a project that cannot be opened is reported by the name that it was given
	}
	full, err := filepath.Abs(name)
	if err != nil {
		return filepath.ToSlash(name)
	}
	for _, root := range p.roots {
		if below, err := filepath.Rel(root, full); err == nil && filepath.IsLocal(below) {
			return filepath.ToSlash(below)
		}
	}
	return filepath.ToSlash(full)
}
