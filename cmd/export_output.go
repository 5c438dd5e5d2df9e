package cmd

import (
	"bytes"
	"fmt"
	"io"
)

// exportResult is what an export found and wrote. The lists are never nil.
type exportResult struct {
	Exported []exportedFile `json:"exported"`
	// NotExported got no file.
	NotExported []notExported `json:"not_exported"`
	// Owned is how many schedules were left out because a project owns them.
	Owned int `json:"owned"`
}

type notExported struct {
	ScheduleID string   `json:"schedule_id"`
	Reasons    []string `json:"reasons"`
}

func (r *exportResult) refuse(scheduleID string, reasons ...string) {
	r.NotExported = append(r.NotExported, notExported{scheduleID, reasons})
}

// checkIDs refuses an export in which two schedules would have one file.
func (r *exportResult) checkIDs() error {
	first := map[string]string{}
	for _, file := range r.Exported {
		if other, taken := first[file.WorkflowID]; taken {
			return fmt.Errorf("schedules %s and %s would both be workflow %s: export one of them with --schedule-id into another --dir",
				other, file.ScheduleID, file.WorkflowID)
		}
		first[file.WorkflowID] = file.ScheduleID
	}
	return nil
}

// print tells the losses on the error output, in every form of the output.
func (r *exportResult) print(env Environment, o exportOptions) error {
	losing := 0
	for _, file := range r.Exported {
		for _, loss := range file.Losses {
			warn(env.Err, file.ScheduleID, loss)
		}
		if len(file.Losses) > 0 {
			losing++
		}
	}
	for _, skipped := range r.NotExported {
		for _, reason := range skipped.Reasons {
			warn(env.Err, skipped.ScheduleID, "not exported: "+reason)
		}
	}
	counts := fmt.Sprintf("%s exported, %d of them with losses; %d not exported; %d left out because a project owns them",
		plural(len(r.Exported), "schedule"), losing, len(r.NotExported), r.Owned)
	switch {
	case o.output == "json":
		if err := r.printJSON(env.Out, o.dir); err != nil {
			return err
		}
		return say(env.Err, "%s", counts)
	case o.dir == toStdout:
		if _, err := env.Out.Write(r.documents()); err != nil {
			return err
		}
		return say(env.Err, "%s", counts)
	}
	for _, file := range r.Exported {
		if err := say(env.Out, "%s", file.path); err != nil {
			return err
		}
	}
	return say(env.Out, "%s", counts)
}

// warn writes one line about a schedule, whatever its ID is made of.
func warn(out io.Writer, scheduleID, what string) {
	fmt.Fprintf(out, "schedule %s: %s\n", oneLine(scheduleID), oneLine(what))
}

func (r *exportResult) printJSON(out io.Writer, dir string) error {
	for i, file := range r.Exported {
		if dir == toStdout {
			r.Exported[i].YAML = string(file.text)
		} else {
			r.Exported[i].File = file.path
		}
	}
	return printJSON(out, r)
}

// documents are all files as the documents of one text.
func (r *exportResult) documents() []byte {
	texts := make([][]byte, len(r.Exported))
	for i, file := range r.Exported {
		texts[i] = file.text
	}
	return bytes.Join(texts, []byte("---\n"))
}
