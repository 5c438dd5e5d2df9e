package soak_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// patience is how long a request may take: longer than the 10 s after which the API answers in any case. So nobody
// is working on a request any more that got no answer.
const patience = 15 * time.Second

// answer is what a write has come to.
type answer int

const (
	applied answer = iota
	refused
	notSent
	// unknown: accepted, or the connection was lost, or Temporal was away. Its outcome is asked for later.
	unknown
)

func (a answer) String() string { return [...]string{"applied", "refused", "not sent", "unknown"}[a] }

// send writes through a replica's API.
func (w *world) send(r *replica, method, path string, body any) answer {
	var encoded bytes.Buffer
	if body != nil {
		require.NoError(w.t, json.NewEncoder(&encoded).Encode(body))
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, r.url(path), &encoded)
	require.NoError(w.t, err)
	key := uuid.NewString()
	request.Header.Set("Idempotency-Key", key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return notSent // the replica does not listen yet
	}
	if err != nil {
		w.pending = append(w.pending, key)
		return unknown
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	switch code := response.StatusCode; {
	case code == http.StatusOK || code == http.StatusNoContent:
		return applied
	case code == http.StatusAccepted || code >= http.StatusInternalServerError:
		w.pending = append(w.pending, key)
		return unknown
	default:
		w.note("replica %d answered %s %s with %s: %s", r.number, method, path, response.Status, text)
		return refused
	}
}

// get reads from a replica's API.
func (w *world) get(r *replica, path string, into any) error {
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, r.url(path), nil)
	require.NoError(w.t, err)
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode == http.StatusBadRequest {
		w.violation("replica %d answered %s with %s", r.number, path, text)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("replica %d answered %s with %s: %s", r.number, path, response.Status, text)
	}
	if raw, ok := into.(*string); ok {
		*raw = string(text)
		return nil
	}
	return json.Unmarshal(text, into)
}

func (r *replica) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", r.port, path) }

// seen are the schedules as a replica lists them.
func (w *world) seen(r *replica) (map[string]override, error) {
	all := map[string]override{}
	path := "/api/v0/schedules?page_size=150"
	for next := path; ; {
		var page struct {
			Schedules []struct {
				WorkflowID string `json:"workflow_id"`
				State      string
				Enabled    bool
				IsOverride bool `json:"is_override"`
				Override   struct {
					Hold      bool
					ExpiresAt time.Time `json:"expires_at"`
				}
			}
			NextPageToken string `json:"next_page_token"`
		}
		if err := w.get(r, next, &page); err != nil {
			return nil, err
		}
		for _, s := range page.Schedules {
			var o override
			if s.IsOverride {
				o = override{kind: paused, hold: s.Override.Hold, expires: s.Override.ExpiresAt}
			}
			switch {
			case s.State == deleted:
				o.kind = deleted
			case s.State != paused && s.State != "active":
				return nil, fmt.Errorf("replica %d: %s is %s", r.number, s.WorkflowID, s.State)
			case s.IsOverride && s.Enabled:
				o.kind = resumed
			}
			all[s.WorkflowID] = o
		}
		if page.NextPageToken == "" {
			return all, nil
		}
		next = path + "&page_token=" + url.QueryEscape(page.NextPageToken)
	}
}
