package activities

import (
	"strings"

	schedulepb "go.temporal.io/api/schedule/v1"
	workflowpb "go.temporal.io/api/workflow/v1"

	"github.com/compozy/schedules/config"
)

// Exported is a schedule that no project owns, as a workflow of the YAML.
type Exported struct {
	ScheduleID string
	// Obstacles are why no workflow says when the schedule runs, or what it starts. Where there is one,
	// Workflow is not to be used.
	Obstacles []string
	// Losses are what the workflow does not say. Where there is none, it adopts the schedule.
	Losses []string
	// Workflow has an ID made from the schedule's.
	Workflow config.Workflow
	// remarks are people's words about the schedule, for which the YAML has comments only.
	remarks []string
}

// exportProject stands for the project that the workflow will be in; nothing that is compared depends on it.
const exportProject = "export"

// Export writes a schedule as a workflow and says what gets lost by it. It is pure. What is lost is found by
// translating the workflow back, so that no field is forgotten.
func Export(scheduleID string, schedule *schedulepb.Schedule) Exported {
	e := Exported{ScheduleID: scheduleID, remarks: remarks(schedule)}
	start := schedule.GetAction().GetStartWorkflow()
	if start == nil {
		e.Obstacles = []string{"an action that starts no workflow"}
		return e
	}
	e.Workflow = config.Workflow{ID: ExportID(scheduleID), Start: exportStart(start)}
	if e.Workflow.Schedule, e.Obstacles = exportSchedule(scheduleID, schedule); len(e.Obstacles) > 0 {
		return e
	}
	desired, err := Translate(exportProject, e.Workflow)
	if err != nil {
		e.Obstacles = []string{err.Error()}
		return e
	}
	e.Losses = losses(schedule, asWritten(desired, e.Workflow, schedule))
	e.Workflow.Schedule.Adopt = len(e.Losses) == 0
	return e
}

// Header is what stands at the top of the workflow's file: people's words, and what the file does not say.
func (e Exported) Header() []string {
	lines := append([]string{}, e.remarks...)
	if len(e.Losses) == 0 {
		return lines
	}
	if len(lines) > 0 {
		lines = append(lines, "")
	}
	lines = append(lines, "The schedule says more than this file, which a project would not keep:")
	for _, loss := range e.Losses {
		lines = append(lines, "  "+loss)
	}
	return append(lines, "Set adopt: true to accept this.")
}

// remarks are the note, and the calendars' comments that say more than the cron does.
func remarks(schedule *schedulepb.Schedule) []string {
	var texts []string
	if note := strings.TrimSpace(schedule.GetState().GetNotes()); note != "" {
		texts = append(texts, note)
	}
	cron, _ := CronText(schedule.GetSpec())
	for _, calendar := range schedule.GetSpec().GetStructuredCalendar() {
		comment := strings.TrimSpace(calendar.GetComment())
		if comment != "" && !sameCron(comment, cron) {
			texts = append(texts, "Times: "+comment)
		}
	}
	return distinct(texts)
}

func sameCron(a, b string) bool {
	timing, err := config.ParseCron(a, "")
	if err != nil || timing.Calendar == nil {
		return a == b
	}
	text, _ := calendarText(cronSets(timing.Calendar))
	return text == b
}

// exportSchedule leaves out what is the default, and what the YAML cannot say.
func exportSchedule(scheduleID string, schedule *schedulepb.Schedule) (*config.Schedule, []string) {
	spec, policies := schedule.GetSpec(), schedule.GetPolicies()
	text, obstacles := cronText(spec)
	if len(spec.GetTimezoneData()) > 0 {
		obstacles = append(obstacles, "timezone_data: a time zone of its own")
	}
	if hasUnknown(spec.ProtoReflect()) {
		obstacles = append(obstacles, "times that this version of schedules does not know")
	}
	s := &config.Schedule{
		Cron:           text,
		Jitter:         exportDuration(spec.GetJitter()),
		PauseOnFailure: policies.GetPauseOnFailure(),
		ScheduleID:     scheduleID,
	}
	if zone := spec.GetTimezoneName(); zoneText(zone) != "UTC" {
		s.Timezone = zone
	}
	if spec.GetStartTime() != nil {
		s.StartAt = new(spec.GetStartTime().AsTime())
	}
	if spec.GetEndTime() != nil {
		s.EndAt = new(spec.GetEndTime().AsTime())
	}
	if schedule.GetState().GetPaused() {
		s.Enabled = new(false)
	}
	for name, policy := range overlapPolicies {
		if policy == policies.GetOverlapPolicy() && name != config.OverlapSkip {
			s.OverlapPolicy = name
		}
	}
	if window := policies.GetCatchupWindow(); !isServerDefault(window) && window.AsDuration() >= shortestCatchup {
		s.CatchupWindow = exportDuration(window)
	}
	s.Input = exportInput(schedule.GetAction().GetStartWorkflow().GetInput())
	if len(obstacles) == 0 {
		if err := config.ValidateSchedule(s); err != nil {
			obstacles = strings.Split(err.Error(), "\n")
		}
	}
	return s, obstacles
}

func exportStart(info *workflowpb.NewWorkflowExecutionInfo) config.Start {
	return config.Start{
		WorkflowType:     info.GetWorkflowType().GetName(),
		WorkflowID:       info.GetWorkflowId(),
		TaskQueue:        info.GetTaskQueue().GetName(),
		ExecutionTimeout: info.GetWorkflowExecutionTimeout().AsDuration(),
		RunTimeout:       info.GetWorkflowRunTimeout().AsDuration(),
		TaskTimeout:      info.GetWorkflowTaskTimeout().AsDuration(),
		Retry:            exportRetry(info.GetRetryPolicy()),
		Memo:             exportMemo(info.GetMemo()),
		SearchAttributes: exportSearchAttributes(info.GetSearchAttributes()),
	}
}
