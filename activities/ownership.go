package activities

import (
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
)

// The memo that makes a schedule ours. It is written once, at creation: Temporal's default scheduler
// refuses to change it later (docs/temporal.md, "Memo").
const (
	memoManagedBy  = "managed_by"
	memoProject    = "project"
	memoWorkflowID = "workflow_id"

	managedBy = "compozy-schedules"
)

func ownershipMemo(project, workflowID string) (*commonpb.Memo, error) {
	fields, err := payloads(converter.GetDefaultDataConverter(), map[string]any{
		memoManagedBy:  managedBy,
		memoProject:    project,
		memoWorkflowID: workflowID,
	})
	if err != nil {
		return nil, err
	}
	return &commonpb.Memo{Fields: fields}, nil
}

// owner reads whose a schedule is. Ownership is never guessed from an ID: the prefix of project `a`
// is also the start of project `a-b`'s.
func owner(memo *commonpb.Memo) (project, workflowID string, ours bool) {
	if memoText(memo, memoManagedBy) != managedBy {
		return "", "", false
	}
	return memoText(memo, memoProject), memoText(memo, memoWorkflowID), true
}

// memoText is empty where the field is missing or no text: such a schedule is somebody else's.
func memoText(memo *commonpb.Memo, field string) string {
	payload, ok := memo.GetFields()[field]
	if !ok {
		return ""
	}
	var text string
	if err := converter.GetDefaultDataConverter().FromPayload(payload, &text); err != nil {
		return ""
	}
	return text
}
