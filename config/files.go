package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// tree is the project directory. No file outside it is read, whatever links say.
type tree struct {
	// dir is the absolute directory as given; real is it with links followed, which root is opened on.
	dir, real string
	root      *os.Root
	// dirs are the directories that were looked into or hold a file, for the watcher.
	dirs map[string]bool
}

// listed is a file that a source names.
type listed struct {
	// name is the path people know, real the one with links followed; both relative, with slashes.
	name, real string
}

// errOutside is a link that leaves the project directory.
var errOutside = errors.New("it links to a place outside the project directory: keep the files inside")

func openTree(dir string) (*tree, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(real)
	if err != nil {
		return nil, err
	}
	return &tree{dir: dir, real: real, root: root, dirs: map[string]bool{dir: true}}, nil
}

func (t *tree) close() { _ = t.root.Close() }

// resolve follows all links of a path. Kubernetes mounts each file of a ConfigMap as a link through a
// link (..data) to a directory of a certain time; all of them are inside, so that is fine.
func (t *tree) resolve(name string) (string, fs.FileInfo, error) {
	full, err := filepath.EvalSymlinks(filepath.Join(t.dir, filepath.FromSlash(name)))
	if err != nil {
		return "", nil, err
	}
	real, err := filepath.Rel(t.real, full)
	if err != nil || !filepath.IsLocal(real) {
		return "", nil, errOutside
	}
	info, err := t.root.Stat(real)
	return filepath.ToSlash(real), info, err
}

// read returns the content of a regular file that is not too large.
func (t *tree) read(name string) ([]byte, error) {
	real, info, err := t.resolve(name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a directory: name a file")
	case !info.Mode().IsRegular():
		// Opening a pipe would wait for ever.
		return nil, errors.New("it is no regular file")
	}
	t.watch(name, real)
	file, err := t.root.Open(real)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		return nil, errors.New("it is larger than 1 MiB: split it")
	}
	return text, err
}

// watch remembers where a file is: a change shows in its directory, or in that of its link.
func (t *tree) watch(name, real string) {
	t.dirs[filepath.Join(t.dir, filepath.FromSlash(path.Dir(name)))] = true
	t.dirs[filepath.Join(t.real, filepath.FromSlash(path.Dir(real)))] = true
}

// explain puts a file error into words.
func explain(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "no such file: correct the path, or create it"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied: let this process read it"
	}
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}

// expand returns the files that a source names, in order. A source is a path or a glob with *, ?, [a-z]
// and ** (any number of directories); as in a shell, wildcards skip hidden names, and so the
// directories that Kubernetes hides behind ..data.
func (t *tree) expand(source string) ([]listed, error) {
	parts, err := splitSource(source)
	if err != nil {
		return nil, err
	}
	w := walk{tree: t, seen: map[string]bool{}}
	if err := w.step(".", parts, false); err != nil {
		return nil, err
	}
	if len(w.found) == 0 {
		return nil, errors.New("no file matches: correct the path, or remove the entry")
	}
	return w.found, nil
}

func splitSource(source string) ([]string, error) {
	if source == "" {
		return nil, errors.New("it is empty: write ./workflows/*.yaml")
	}
	if path.IsAbs(source) || filepath.IsAbs(source) {
		return nil, errors.New("it is an absolute path: write it relative to the project directory")
	}
	var parts []string
	for part := range strings.SplitSeq(source, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return nil, errors.New("it leaves the project directory: remove the .. and keep the files inside")
		case part == "**" && len(parts) > 0 && parts[len(parts)-1] == "**":
			continue
		}
		if _, err := path.Match(part, ""); err != nil {
			return nil, errors.New("it is no valid pattern: close the [ or remove it")
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return nil, errors.New("it names the project directory: write ./workflows/*.yaml")
	}
	if parts[len(parts)-1] == "**" {
		parts = append(parts, "*")
	}
	return parts, nil
}

type walk struct {
	*tree
	found []listed
	// seen stops at links that lead back, and keeps ** from taking a directory twice.
	seen map[string]bool
}

// step takes the remaining parts of a source below the directory name. wild says that a wildcard
// brought us here: what does not fit is then passed over instead of reported.
func (w *walk) step(name string, parts []string, wild bool) error {
	if len(parts) == 0 {
		return w.file(name, wild)
	}
	part, rest := parts[0], parts[1:]
	if !strings.ContainsAny(part, `*?[\`) {
		return w.step(path.Join(name, part), rest, wild)
	}
	real, entries, err := w.list(name, parts, wild)
	if err != nil {
		return err
	}
	if part == "**" {
		if err := w.step(name, rest, true); err != nil {
			return err
		}
	}
	for _, entry := range entries {
		below, full := rest, path.Join(name, entry.Name())
		if part == "**" {
			below = parts
		}
		switch {
		case !matches(part, entry.Name()), part == "**" && !w.isDir(full):
			continue
		case len(below) == 0 && entry.Type().IsRegular():
			// No link to follow: of ten thousand files most are so, and the watcher looks every few seconds.
			w.found = append(w.found, listed{name: full, real: path.Join(real, entry.Name())})
			continue
		}
		if err := w.step(full, below, true); err != nil {
			return err
		}
	}
	return nil
}

func matches(part, name string) bool {
	if strings.HasPrefix(name, ".") && !strings.HasPrefix(part, ".") {
		return false
	}
	ok, err := path.Match(part, name)
	return part == "**" || (ok && err == nil)
}

// list returns what is in a directory and where that really is; nothing where it was listed for the same parts before.
func (w *walk) list(name string, parts []string, wild bool) (real string, entries []fs.DirEntry, err error) {
	real, info, err := w.resolve(name)
	switch {
	case err != nil && wild && errors.Is(err, fs.ErrNotExist):
		return "", nil, nil
	case err != nil:
		return "", nil, fmt.Errorf("%q: %s", name, explain(err))
	case !info.IsDir() && wild:
		return "", nil, nil
	case !info.IsDir():
		return "", nil, fmt.Errorf("%q is no directory: correct the path", name)
	}
	visit := real + "\x00" + strings.Join(parts, "/")
	if w.seen[visit] {
		return "", nil, nil
	}
	w.seen[visit] = true
	w.dirs[filepath.Join(w.dir, filepath.FromSlash(name))] = true
	if entries, err = os.ReadDir(filepath.Join(w.real, filepath.FromSlash(real))); err != nil {
		return "", nil, fmt.Errorf("%q: %s", name, explain(err))
	}
	return real, entries, nil
}

func (w *walk) isDir(name string) bool {
	_, info, err := w.resolve(name)
	// A link that leaves the project is followed one step further, to be reported there.
	return errors.Is(err, errOutside) || (err == nil && info.IsDir())
}

func (w *walk) file(name string, wild bool) error {
	real, info, err := w.resolve(name)
	switch {
	case err != nil && wild && errors.Is(err, fs.ErrNotExist):
		if _, gone := os.Lstat(filepath.Join(w.dir, filepath.FromSlash(name))); gone != nil {
			return nil
		}
		return fmt.Errorf("%q is a link to nothing: correct or remove it", name)
	case err != nil && wild:
		return fmt.Errorf("%q: %s", name, explain(err))
	case err != nil:
		return err
	case info.Mode().IsRegular():
		w.found = append(w.found, listed{name: name, real: real})
	case wild:
	case info.IsDir():
		return fmt.Errorf("it is a directory: write %s/*.yaml", name)
	default:
		return errors.New("it is no regular file")
	}
	return nil
}

func (t *tree) watched() []string {
	dirs := make([]string, 0, len(t.dirs))
	for dir := range t.dirs {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return dirs
}
