package config

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultFile is the project file's name where a directory is given.
const DefaultFile = "compozy.yaml"

// Load reads the project at path, a directory with a compozy.yaml or a project file of any name. The
// error is Problems: all that is wrong in all files, each with its place. A project with a problem
// is not returned at all, so that nothing half-read is ever applied.
func Load(path string) (*Project, error) {
	l, err := openProject(path)
	if err != nil {
		return nil, err
	}
	defer l.tree.close()
	l.readProject()
	workflows := l.readWorkflows()
	if len(l.problems) > 0 {
		return nil, l.problems.sorted()
	}
	project := &Project{Name: l.project.name, Dir: l.tree.dir, Workflows: workflows}
	if project.Revision, err = Fingerprint(project); err != nil {
		return nil, err
	}
	return project, nil
}

// LoadName reads only the project's name, for commands that ask about a project and need none of its
// workflows. The error is Problems.
func LoadName(path string) (string, error) {
	l, err := openProject(path)
	if err != nil {
		return "", err
	}
	defer l.tree.close()
	doc := l.parse(l.file)
	if doc == nil || doc.root == nil {
		return "", l.problems.sorted()
	}
	name := readName(value{doc: doc, node: doc.root}.open())
	if len(doc.problems) > 0 {
		return "", doc.problems.sorted()
	}
	return name, nil
}

// WatchDirs returns the absolute directories in which a change may change the project: its own, those
// that sources look into, and those where linked files really are. It needs no valid project, so that
// the repair of a broken one is noticed too.
func WatchDirs(path string) []string {
	l, err := openProject(path)
	if err != nil {
		dir, _ := splitProject(path)
		return []string{dir}
	}
	defer l.tree.close()
	l.readProject()
	for _, file := range l.files {
		l.tree.watch(file.name, file.real)
	}
	return l.tree.watched()
}

// loader is one pass over a project's files.
type loader struct {
	tree     *tree
	file     string
	project  projectFile
	files    []listed
	problems Problems
}

func openProject(path string) (*loader, error) {
	dir, file := splitProject(path)
	tree, err := openTree(dir)
	if err != nil {
		return nil, Problems{{File: path, Message: "the project cannot be opened: " + explain(err)}}
	}
	return &loader{tree: tree, file: file}, nil
}

// splitProject does not follow links: in a Kubernetes mount the project file is one, and what it
// points to is not where the other files are listed.
func splitProject(path string) (dir, file string) {
	full, err := filepath.Abs(path)
	if err != nil {
		full = filepath.Clean(path)
	}
	if info, err := os.Stat(full); err == nil && info.IsDir() {
		return full, DefaultFile
	}
	return filepath.Dir(full), filepath.Base(full)
}

// parse reads a file; nil where it cannot be read at all. Its problems become the loader's.
func (l *loader) parse(name string) *document {
	text, err := l.tree.read(name)
	if err != nil {
		l.problems = append(l.problems, Problem{File: name, Message: "the file cannot be read: " + explain(err)})
		return nil
	}
	doc := parseDocument(name, text)
	l.take(doc)
	return doc
}

// take moves the problems of a document to the loader.
func (l *loader) take(doc *document) {
	l.problems = append(l.problems, doc.problems...)
	if doc.root != nil {
		doc.problems = nil
	}
}

// readProject reads the project file and finds the files that it lists, each once.
func (l *loader) readProject() {
	doc := l.parse(l.file)
	if doc == nil || doc.root == nil {
		return
	}
	l.project = readProjectFile(doc)
	seen := map[string]bool{}
	if real, _, err := l.tree.resolve(l.file); err == nil {
		// A glob such as *.yaml matches the project file too.
		seen[real] = true
	}
	for _, source := range l.project.sources {
		files, err := l.tree.expand(source.node.Value)
		if err != nil {
			source.problem("source %q: %s", clip(source.node.Value), explain(err))
		}
		for _, file := range files {
			if !seen[file.real] {
				seen[file.real] = true
				l.files = append(l.files, file)
			}
		}
	}
	l.take(doc)
	slices.SortFunc(l.files, func(a, b listed) int { return cmp.Compare(a.name, b.name) })
}

// firsts finds what only one file may have.
type firsts map[string]value

// take reports a text that another file has already, and whether the text is new.
func (f firsts) take(v value, text, noun, key string) bool {
	if text == "" {
		return false // reported where it was read
	}
	if earlier, taken := f[text]; taken {
		at := earlier.at()
		v.problem("%s %q is already the %s of %s:%d:%d: give one of the two another %s",
			noun, clip(text), noun, earlier.doc.name, at.Line, at.Column, key)
		return false
	}
	f[text] = v
	return true
}

// readWorkflows reads every listed file and returns the workflows in order of their ids.
func (l *loader) readWorkflows() []Workflow {
	ids, schedules := firsts{}, firsts{}
	var workflows []Workflow
	for _, file := range l.files {
		doc := l.parse(file.name)
		if doc == nil || doc.root == nil {
			continue
		}
		w := readWorkflowFile(doc, l.project)
		if ids.take(w.id, w.ID, "id", "id") && w.Schedule != nil {
			schedules.take(w.scheduleID, w.ScheduleID(l.project.name), "schedule ID", "schedule_id")
		}
		l.take(doc)
		workflows = append(workflows, w.Workflow)
	}
	slices.SortFunc(workflows, func(a, b Workflow) int { return strings.Compare(a.ID, b.ID) })
	return workflows
}
