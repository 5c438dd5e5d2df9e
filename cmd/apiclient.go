package cmd

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/compozy/schedules/api/manager"
	"github.com/compozy/schedules/workflows"
)

const (
	defaultAPIURL = "http://127.0.0.1:8080"
	// The variables of the flags --api-url and --token.
	apiURLVariable = "SCHEDULES_API_URL"
	tokenVariable  = "SCHEDULES_TOKEN"

	// requestTimeout bounds one try of a request. The API itself gives up sooner.
	requestTimeout = 30 * time.Second
	// completionTimeout is how long a shell waits for workflow ids.
	completionTimeout = 2 * time.Second
	// maxRetries bounds the tries after the first one, and maxRetryAfter the wait that an answer may ask for.
	maxRetries    = 2
	maxRetryAfter = 10 * time.Second
	// refusedPause is the first wait after a refused connection, as while a process restarts.
	refusedPause = 500 * time.Millisecond
	// maxAnswer is far above a page of 1,000 schedules.
	maxAnswer = 64 << 20
	// pageSize is how many schedules a page has. The API allows no more.
	pageSize = 1000
)

// apiFlags are the flags of every command that calls the API.
type apiFlags struct {
	url, token, output string
	insecure           bool
}

// apiCommand completes a command that calls the API: its flags, its client, and workflow ids for the shell.
func apiCommand(env Environment, command *cobra.Command, run func(context.Context, *apiClient, []string) error) *cobra.Command {
	var flags apiFlags
	command.Flags().StringVar(&flags.url, "api-url", defaultAPIURL, "address of the API, also in "+apiURLVariable)
	command.Flags().StringVar(&flags.token, "token", "",
		"API key or access token; better in "+tokenVariable+", where no process list shows it")
	command.Flags().BoolVar(&flags.insecure, "insecure-http", false,
		"send the token over plain http to another host, where everybody on the way can read it")
	addOutputFlag(command, &flags.output)
	command.RunE = func(command *cobra.Command, args []string) error {
		c, err := newAPIClient(env, command, flags)
		if err != nil {
			return err
		}
		return run(command.Context(), c, args)
	}
	command.ValidArgsFunction = func(command *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if command.ValidateArgs(append(slices.Clone(args), prefix)) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // no further argument
		}
		c, err := newAPIClient(env, command, flags)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.complete(command.Context(), args, prefix), cobra.ShellCompDirectiveNoFileComp
	}
	return command
}

// apiClient calls the API for one command.
type apiClient struct {
	env      Environment
	http     *http.Client
	base     string
	token    string
	json     bool
	retries  int
	progress *progress
}

// newAPIClient checks the flags. The variables stand in for flags that were not given.
func newAPIClient(env Environment, command *cobra.Command, flags apiFlags) (*apiClient, error) {
	asJSON, err := isJSON(flags.output)
	if err != nil {
		return nil, err
	}
	if text, _ := lookup(env.Environ).LookupEnv(apiURLVariable); text != "" && !command.Flags().Changed("api-url") {
		flags.url = text
	}
	if text, _ := lookup(env.Environ).LookupEnv(tokenVariable); text != "" && !command.Flags().Changed("token") {
		flags.token = text
	}
	base, err := parseAPIURL(flags.url)
	if err != nil {
		return nil, err
	}
	token := strings.TrimSpace(flags.token)
	if token != "" && base.Scheme == "http" && !isLoopback(base.Hostname()) && !flags.insecure {
		return nil, fmt.Errorf("the token is not sent over plain http to %s, where everybody on the way can read it: "+
			"use an https address, or --insecure-http", base.Host)
	}
	return &apiClient{
		env: env, base: strings.TrimRight(base.String(), "/"), token: token, json: asJSON, retries: maxRetries,
		http:     &http.Client{Timeout: requestTimeout, CheckRedirect: stayHere},
		progress: &progress{env: env},
	}, nil
}

// stayHere follows no redirect: it could lead the token from https to http.
func stayHere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// parseAPIURL does not repeat the text in its error: it may hold a password.
func parseAPIURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the address of the API (--api-url or %s) must be like %s or https://host, without user, query and fragment",
			apiURLVariable, defaultAPIURL)
	}
	return u, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// request is one call of the API. The path is below /api/v0.
type request struct {
	method, path string
	query        url.Values
	body         any
}

// answer is what the API says where it did what it was asked.
type answer struct {
	status int
	body   []byte
}

// schedulePath is the path of a schedule, or of what is below it.
func schedulePath(workflowID string, below ...string) string {
	return strings.Join(append([]string{"/schedules", url.PathEscape(workflowID)}, below...), "/")
}

func requestPath(requestID string) string { return "/requests/" + url.PathEscape(requestID) }

// fetch reads what is at a path, as JSON and as bytes.
func fetch[T any](ctx context.Context, c *apiClient, path string, query url.Values) (value T, body []byte, err error) {
	got, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return value, nil, err
	}
	err = c.decode(got.body, &value)
	return value, got.body, err
}

func (c *apiClient) decode(body []byte, value any) error {
	if err := json.Unmarshal(body, value); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	return nil
}

// do sends a request. Where nobody listens, or the API asks for patience, it sends it again: with the same
// Idempotency-Key, so that a write happens once.
func (c *apiClient) do(ctx context.Context, r request) (answer, error) {
	defer c.progress.begin("waiting for " + c.base)()
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return answer{}, fmt.Errorf("encode the request: %w", err)
		}
	}
	key := ""
	if r.method != http.MethodGet {
		key = uuid.NewString()
	}
	for try := 0; ; try++ {
		got, err := c.try(ctx, r, body, key)
		pause, again := retryAfter(err, try)
		if !again || try >= c.retries {
			return got, c.explain(ctx, err)
		}
		select {
		case <-ctx.Done():
			return answer{}, c.explain(ctx, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// retryAfter is how long to wait before the request is sent again, if at all.
func retryAfter(err error, try int) (time.Duration, bool) {
	var p *problem
	switch {
	case errors.As(err, &p):
		busy := p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests
		return p.after, busy && p.after > 0 && p.after <= maxRetryAfter
	case errors.Is(err, syscall.ECONNREFUSED):
		return refusedPause << try, true
	}
	return 0, false
}

func (c *apiClient) try(ctx context.Context, r request, body []byte, key string) (answer, error) {
	target := c.base + "/api/v0" + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Accept", "application/json, application/problem+json")
	request.Header.Set("User-Agent", "schedules-cli ("+version()+")")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("read the answer: %w", err)
	case len(text) > maxAnswer:
		return answer{}, fmt.Errorf("the answer is over %d MiB", maxAnswer>>20)
	}
	return c.judge(response, text)
}

// judge tells an answer from a problem, and both from what is not our API.
func (c *apiClient) judge(response *http.Response, text []byte) (answer, error) {
	mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	switch {
	case response.StatusCode == http.StatusNoContent,
		response.StatusCode/100 == 2 && mediaType == "application/json" && json.Valid(text):
		return answer{status: response.StatusCode, body: text}, nil
	case response.StatusCode/100 == 3:
		return answer{}, fmt.Errorf("%s redirects to %q: if you trust that, name it with --api-url",
			c.base, response.Header.Get("Location"))
	case mediaType == "application/problem+json":
		p := problem{after: seconds(response.Header.Get("Retry-After")), hasToken: c.token != ""}
		if json.Unmarshal(text, &p) == nil && p.Title != "" {
			p.Status = response.StatusCode
			return answer{}, &p
		}
	}
	return answer{}, fmt.Errorf("%s answers %s, and not as this API does: is --api-url right?", c.base, response.Status)
}

// seconds reads a Retry-After; 0 where there is none.
func seconds(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 3600)) * time.Second
}

// explain words what went wrong on the way.
func (c *apiClient) explain(ctx context.Context, err error) error {
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("stopped while waiting for %s: %w", c.base, ctx.Err())
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: start `schedules serve`, or name another address with --api-url or %s",
			c.base, apiURLVariable)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer of %s within %s", c.base, c.http.Timeout)
	}
	if transport, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("cannot reach %s: %w", c.base, transport.Err)
	}
	return err
}

// problem is the API's word for what went wrong (RFC 9457).
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`

	after    time.Duration
	hasToken bool
}

// Error is the problem for people, with what to do on a line of its own.
func (p *problem) Error() string {
	text := oneLine(p.Title)
	if p.Detail != "" {
		text += ": " + oneLine(p.Detail)
	}
	if remedy := p.remedy(); remedy != "" {
		text += "\n" + remedy
	}
	return text
}

// remedy says what to do where the detail, which knows no command line, does not.
func (p *problem) remedy() string {
	switch _, kind, _ := strings.Cut(p.Type, "#problem-"); kind {
	case "unauthorized":
		if p.hasToken {
			return "check the key in --token or " + tokenVariable + "; `schedules api-key new` makes another"
		}
		return "give a key with --token or " + tokenVariable + "; `schedules api-key new` makes one"
	case "missing-scope":
		return "`schedules api-key new --scope …` makes a key that has it"
	case "not-found":
		return "`schedules list` shows the workflow ids"
	case "conflict":
		return "`schedules get` shows what there is, and `schedules status` what the reconciler says of it"
	case "unavailable":
		return "`schedules status` says whether a reconciler and its worker are there"
	case "internal":
		return "the request id is " + oneLine(p.Instance)
	}
	return ""
}

// printJSON writes the API's JSON as it came. An empty answer stays empty.
func (c *apiClient) printJSON(body []byte) error {
	if len(body) > 0 && !bytes.HasSuffix(body, []byte("\n")) {
		body = append(slices.Clone(body), '\n')
	}
	_, err := c.env.Out.Write(body)
	return err
}

// wrote prints what became of a write: done where it is applied.
func (c *apiClient) wrote(subject, done string, got answer) error {
	if c.json {
		return c.printJSON(got.body)
	}
	if got.status == http.StatusAccepted {
		var result manager.WriteResult
		if err := c.decode(got.body, &result); err != nil {
			return err
		}
		done = fmt.Sprintf("accepted, not applied yet; ask what became of it at %s/api/v0%s", c.base, requestPath(result.RequestID))
	}
	_, err := fmt.Fprintf(c.env.Out, "%s: %s\n", subject, done)
	return err
}

// each acts on one workflow after the other. What is wrong with one of them does not stop the others.
func (c *apiClient) each(workflowIDs []string, act func(workflowID string) error) error {
	failed := 0
	for i, id := range workflowIDs {
		err := act(id)
		var p *problem
		aboutOne := errors.As(err, &p) && slices.Contains([]int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict}, p.Status)
		switch {
		case err == nil:
		case len(workflowIDs) == 1:
			return err
		case !aboutOne:
			return fmt.Errorf("%s: %w\nnot done: %s", id, err, strings.Join(workflowIDs[i:], " "))
		default:
			failed++
			fmt.Fprintf(c.env.Err, "schedules: %s: %v\n", id, err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, plural(len(workflowIDs), "schedule"))
	}
	return nil
}

// pages hands out every page of the list.
func (c *apiClient) pages(ctx context.Context, status string, take func(page manager.ListResult, body []byte) error) error {
	query := url.Values{"page_size": {strconv.Itoa(pageSize)}}
	if status != "" {
		query.Set("status", status)
	}
	for {
		page, body, err := fetch[manager.ListResult](ctx, c, "/schedules", query)
		if err != nil {
			return err
		}
		if err := take(page, body); err != nil {
			return err
		}
		if page.NextPageToken == "" || page.NextPageToken == query.Get("page_token") {
			return nil
		}
		query.Set("page_token", page.NextPageToken)
	}
}

// complete finds the workflow ids that begin with prefix and were not given yet. Where the API does not
// answer at once there are none: a shell has no place for errors.
func (c *apiClient) complete(ctx context.Context, given []string, prefix string) []cobra.Completion {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	c.retries, c.progress = 0, nil
	var found []cobra.Completion
	err := c.pages(ctx, "", func(page manager.ListResult, _ []byte) error {
		for _, info := range page.Schedules {
			if strings.HasPrefix(info.WorkflowID, prefix) && !slices.Contains(given, info.WorkflowID) {
				found = append(found, cobra.CompletionWithDesc(info.WorkflowID, oneLine(cmp.Or(info.Description, string(info.State)))))
			}
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return found
}

// isTemporary reports whether it makes sense to ask again: nobody, a proxy, or the API asks for patience.
func isTemporary(err error) bool {
	var p *problem
	return !errors.As(err, &p) || p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests
}

// outcome asks what became of a write.
func (c *apiClient) outcome(ctx context.Context, requestID string) (workflows.Outcome, error) {
	outcome, _, err := fetch[workflows.Outcome](ctx, c, requestPath(requestID), nil)
	return outcome, err
}
