package worker

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/compozy/schedules/config"
)

const (
	// quiet is how long the files must rest before they are read: editors and git write many at once.
	quiet = 300 * time.Millisecond
	// rewatchEvery finds directories that were replaced: a watch dies with its directory.
	rewatchEvery = 5 * time.Second
)

// watcher tells when a project's files may have changed. It watches directories, not files: editors
// and Kubernetes replace files, Kubernetes by turning the link `..data` to a new directory.
type watcher struct {
	path   string
	events *fsnotify.Watcher
	logger *slog.Logger
	// dirs are the directories as last found.
	dirs []string
}

func newWatcher(path string, logger *slog.Logger) (*watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch the project's files (start with --watch=false to do without): %w", err)
	}
	w := &watcher{path: path, events: events, logger: logger}
	w.watch()
	return w, nil
}

func (w *watcher) close() { _ = w.events.Close() }

// run sends to changed, at most one ahead, when the files have changed and are quiet again.
func (w *watcher) run(ctx context.Context, changed chan<- struct{}) {
	rewatch := time.NewTicker(rewatchEvery)
	defer rewatch.Stop()
	rest := time.NewTimer(quiet)
	rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-w.events.Events:
			if !ok {
				return
			}
			rest.Reset(quiet)
		case err, ok := <-w.events.Errors:
			if !ok {
				return
			}
			w.logger.Warn("watching the project's files", "error", err)
			rest.Reset(quiet) // events may have been lost: look
		case <-rewatch.C:
			if w.watch() {
				rest.Reset(quiet)
			}
		case <-rest.C:
			w.watch()
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}

// watch adds the directories that are not watched yet and reports whether there were any, or whether others are
// found than before: what a directory above the project hid for a while was watched all the time, and tells nothing
// when it can be read again.
func (w *watcher) watch() (changed bool) {
	watched := map[string]bool{}
	for _, dir := range w.events.WatchList() {
		watched[dir] = true
	}
	dirs := config.WatchDirs(w.path)
	changed = w.dirs != nil && !slices.Equal(dirs, w.dirs)
	w.dirs = dirs
	for _, dir := range dirs {
		dir = filepath.Clean(dir)
		if watched[dir] {
			continue
		}
		if err := w.events.Add(dir); err != nil {
			w.logger.Warn("cannot watch a directory of the project", "directory", dir, "error", err)
			continue
		}
		changed = true
	}
	return changed
}
