package activities

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	schedulepb "go.temporal.io/api/schedule/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
)

// callTimeout bounds one call. A failover of a history host takes up to 20 s (docs/temporal.md,
// "Faults").
const callTimeout = 30 * time.Second

// pageSize is the most that the server returns in one page of a list.
const pageSize = 1000

// uncompressed is for calls of one schedule. The SDK compresses everything, which takes both sides longer than a packet or
// two take on the way (docs/temporal.md, "Compression").
var uncompressed = grpc.UseCompressor(encoding.Identity)

// Server is Temporal's schedule service for one namespace, rate-limited. Its errors are the
// serviceerror types of the API.
type Server struct {
	service   workflowservice.WorkflowServiceClient
	namespace string
	identity  string
	limiter   *rate.Limiter
	priority  priority
	// observe is told each call that writes a schedule; it may be nil.
	observe func(operation Kind, err error)
}

// Observe sets what is told each call that writes a schedule, with its error. It must be set before the first
// call.
func (s *Server) Observe(observe func(operation Kind, err error)) { s.observe = observe }

// wrote tells the observer. What another writer did before is no failure.
func (s *Server) wrote(operation Kind, err error) {
	if s.observe == nil || alreadyExists(err) || isNotFound(err) || isStaleToken(err) {
		return
	}
	s.observe(operation, err)
}

// NewServer wraps a client's WorkflowService. limiter is shared by all that call Temporal from this
// process.
func NewServer(service workflowservice.WorkflowServiceClient, namespace, identity string, limiter *rate.Limiter) *Server {
	return &Server{service: service, namespace: namespace, identity: identity, limiter: limiter}
}

func call[Response any](ctx context.Context, s *Server, f func(context.Context) (Response, error)) (Response, error) {
	var none Response
	if err := s.limiter.Wait(ctx); err != nil {
		if ctx.Err() == nil {
			err = context.DeadlineExceeded // the limiter saw that the time would not do
		}
		return none, fmt.Errorf("wait for the rate limit: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx)
}

// withResource names what a call is about where the SDK would do it in a way that gRPC refuses: a header
// holds only ASCII, and people name schedules in their language.
func withResource(ctx context.Context, kind, id string) context.Context {
	if !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "temporal-resource-id", kind+":"+url.PathEscape(id))
}

// list hands over all entries of a visibility query, page by page, in the server's order.
func (s *Server) list(ctx context.Context, query string, each func(*schedulepb.ScheduleListEntry)) error {
	request := &workflowservice.ListSchedulesRequest{Namespace: s.namespace, MaximumPageSize: pageSize, Query: query}
	for {
		page, err := s.page(ctx, request)
		if err != nil {
			return fmt.Errorf("list schedules (%s): %w", cmp.Or(query, "all"), err)
		}
		for _, entry := range page.GetSchedules() {
			each(entry)
		}
		if len(page.GetNextPageToken()) == 0 {
			return nil
		}
		request.NextPageToken = page.GetNextPageToken()
	}
}

const (
	// firstRefusal and lastRefusal are how long a list waits where the server refuses a page for now, from the first time to the
	// fourth, twice as long each time.
	firstRefusal = 100 * time.Millisecond
	lastRefusal  = 800 * time.Millisecond
)

// page asks again for a page that the server refuses for now. All who read a namespace share some pages a second
// (docs/temporal.md, "Limits"): an activity that fails begins the list anew, and asks for the pages before it, too.
func (s *Server) page(ctx context.Context, request *workflowservice.ListSchedulesRequest) (*workflowservice.ListSchedulesResponse, error) {
	for refusal := firstRefusal; ; refusal *= 2 {
		page, err := call(ctx, s, func(ctx context.Context) (*workflowservice.ListSchedulesResponse, error) {
			return s.service.ListSchedules(ctx, request)
		})
		if refusal > lastRefusal || !isBusy(err) && !isUnavailable(err) {
			return page, err
		}
		pause(ctx, refusal)
	}
}

const (
	// firstDescribe is how long a first try of a describe may take, each further one three times as long: a
	// describe is a query, and the development server loses some that meet a workflow task (docs/temporal.md,
	// "Lost queries").
	firstDescribe = 3 * time.Second
	// busyPause is how long a describe waits where the schedule's own workflow has as many queries as it
	// buffers; a lost one counts until its time is over.
	busyPause = 500 * time.Millisecond
)

// describe asks again for as long as one call may take in all.
func (s *Server) describe(ctx context.Context, id string) (*workflowservice.DescribeScheduleResponse, error) {
	ctx = withResource(ctx, "schedule", id)
	end := time.Now().Add(callTimeout)
	for timeout := firstDescribe; ; {
		response, err := call(ctx, s, func(ctx context.Context) (*workflowservice.DescribeScheduleResponse, error) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			request := &workflowservice.DescribeScheduleRequest{Namespace: s.namespace, ScheduleId: id}
			return s.service.DescribeSchedule(ctx, request, uncompressed)
		})
		again := ctx.Err() == nil && time.Now().Before(end)
		switch {
		case err == nil:
			return response, nil
		case again && isTimeout(err):
			timeout *= 3
		case again && isBusy(err):
			pause(ctx, busyPause)
		default:
			return nil, fmt.Errorf("describe schedule %s: %w", id, err)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d): //nolint:forbidigo // a plan is no activity: nobody else would ask again
	}
}

// current reads one schedule as it is now, with the token that an update of it needs.
func (s *Server) current(ctx context.Context, id string) (Described, []byte, error) {
	response, err := s.describe(ctx, id)
	switch {
	case isNotFound(err):
		return Described{Missing: true}, nil, nil
	case err != nil:
		return Described{}, nil, err
	}
	return described(id, response), response.GetConflictToken(), nil
}

// soon is current for somebody who waits for the answer.
func (s *Server) soon(ctx context.Context, id string) (Described, error) {
	read := func(ctx context.Context) (Described, error) {
		actual, _, err := s.current(ctx, id)
		return actual, err
	}
	actual, err := Ask(ctx, read)
	if isTimeout(err) && ctx.Err() == nil {
		return read(ctx) // a server that fails over takes longer than anybody waits
	}
	return actual, err
}

func described(id string, response *workflowservice.DescribeScheduleResponse) Described {
	schedule := response.GetSchedule()
	marked := !markedOwner(id, schedule.GetSpec()).None()
	return Described{
		Owner:    ownerOf(id, response.GetMemo(), schedule),
		Lasting:  marked || !memoOwner(id, response.GetMemo()).None(),
		Marked:   marked,
		Schedule: schedule,
	}
}

func (s *Server) create(ctx context.Context, owner Owner, id string, schedule *schedulepb.Schedule) error {
	memo, err := ownershipMemo(owner.Project, owner.WorkflowID, id)
	if err != nil {
		return fmt.Errorf("encode the memo of schedule %s: %w", id, err)
	}
	_, err = call(withResource(ctx, "schedule", id), s, func(ctx context.Context) (*workflowservice.CreateScheduleResponse, error) {
		return s.service.CreateSchedule(ctx, &workflowservice.CreateScheduleRequest{
			Namespace: s.namespace, ScheduleId: id,
			Schedule: schedule, Memo: memo, Identity: s.identity, RequestId: uuid.NewString(),
		}, uncompressed)
	})
	s.wrote(Create, err)
	if err != nil {
		return fmt.Errorf("create schedule %s: %w", id, err)
	}
	return nil
}

func (s *Server) update(ctx context.Context, id string, schedule *schedulepb.Schedule, token []byte) error {
	_, err := call(withResource(ctx, "schedule", id), s, func(ctx context.Context) (*workflowservice.UpdateScheduleResponse, error) {
		return s.service.UpdateSchedule(ctx, &workflowservice.UpdateScheduleRequest{
			Namespace: s.namespace, ScheduleId: id, Schedule: schedule,
			ConflictToken: token, Identity: s.identity, RequestId: uuid.NewString(),
		}, uncompressed)
	})
	s.wrote(Update, err)
	if err != nil {
		return fmt.Errorf("update schedule %s: %w", id, err)
	}
	return nil
}

func (s *Server) delete(ctx context.Context, id string) error {
	_, err := call(withResource(ctx, "schedule", id), s, func(ctx context.Context) (*workflowservice.DeleteScheduleResponse, error) {
		return s.service.DeleteSchedule(ctx, &workflowservice.DeleteScheduleRequest{
			Namespace: s.namespace, ScheduleId: id, Identity: s.identity,
		}, uncompressed)
	})
	s.wrote(Delete, err)
	if err != nil {
		return fmt.Errorf("delete schedule %s: %w", id, err)
	}
	return nil
}

// patch pauses, resumes, triggers or backfills. The server drops a patch whose request id it has seen.
func (s *Server) patch(ctx context.Context, id string, patch *schedulepb.SchedulePatch, requestID string) error {
	_, err := call(withResource(ctx, "schedule", id), s, func(ctx context.Context) (*workflowservice.PatchScheduleResponse, error) {
		return s.service.PatchSchedule(ctx, &workflowservice.PatchScheduleRequest{
			Namespace: s.namespace, ScheduleId: id, Patch: patch, Identity: s.identity, RequestId: requestID,
		}, uncompressed)
	})
	s.wrote(Update, err)
	if err != nil {
		return fmt.Errorf("patch schedule %s: %w", id, err)
	}
	return nil
}
