package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// exportedFile is a workflow file of an export.
type exportedFile struct {
	ScheduleID string `json:"schedule_id"`
	WorkflowID string `json:"workflow_id"`
	// Adopt is false where there are losses.
	Adopt  bool     `json:"adopt"`
	Losses []string `json:"losses"`
	// File is the path of the file; empty where the files were printed, and YAML is its text.
	File string `json:"file,omitempty"`
	YAML string `json:"yaml,omitempty"`

	path string
	text []byte
}

func filePath(dir, workflowID string) string { return filepath.Join(dir, workflowID+".yaml") }

// writeFiles writes all files, or none where one exists and may not be overwritten.
func writeFiles(files []exportedFile, force bool) error {
	var existing []string
	for _, file := range files {
		switch _, err := os.Lstat(file.path); {
		case err == nil:
			existing = append(existing, file.path)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("look for the file of schedule %s: %w", file.ScheduleID, err)
		}
	}
	if len(existing) > 0 && !force {
		return fmt.Errorf("nothing was written, because %s of the export would overwrite yours, such as %s: use --force, or another --dir",
			plural(len(existing), "file"), existing[0])
	}
	for _, file := range files {
		if err := writeFile(file.path, file.text); err != nil {
			return fmt.Errorf("write the file of schedule %s: %w", file.ScheduleID, err)
		}
	}
	return nil
}

// writeFile puts the whole file there at once: a running `schedules dev` may be watching. The temporary
// name begins with a dot, which sources skip.
func writeFile(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(dir, ".export-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name()) //nolint:errcheck // it is gone where all went well
	_, err = temporary.Write(text)
	if err := errors.Join(err, temporary.Chmod(0o644), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}
