package workflows

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
)

// packFrom is the size, in bytes of JSON, from which a run packs what it hands to the next. Temporal ends a workflow
// that hands over more than 2 MB (docs/temporal.md, "Limits"), which some thousands of overrides come to. Below it
// the state stays readable in the Temporal UI, and for processes of versions that cannot unpack.
const packFrom = 512 * 1024

// carried is an Input as Temporal has it.
type carried struct {
	Project string          `json:"project"`
	State   json.RawMessage `json:"state,omitempty"`
	// Packed is the state's JSON, deflated (RFC 1951).
	Packed []byte `json:"packed,omitempty"`
}

// MarshalJSON packs a large state.
func (in Input) MarshalJSON() ([]byte, error) {
	c := carried{Project: in.Project}
	if in.State == nil {
		return json.Marshal(c)
	}
	state, err := json.Marshal(in.State)
	if err != nil {
		return nil, err
	}
	if len(state) < packFrom {
		c.State = state
	} else if c.Packed, err = pack(state); err != nil {
		return nil, fmt.Errorf("pack the reconciler's state: %w", err)
	}
	return json.Marshal(c)
}

// UnmarshalJSON reads both forms. Fields that it does not know are ignored.
func (in *Input) UnmarshalJSON(text []byte) error {
	var c carried
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	in.Project, in.State = c.Project, nil
	if len(c.Packed) > 0 {
		state, err := io.ReadAll(flate.NewReader(bytes.NewReader(c.Packed)))
		if err != nil {
			return fmt.Errorf("unpack the reconciler's state: %w", err)
		}
		c.State = state
	}
	if len(c.State) == 0 {
		return nil
	}
	return json.Unmarshal(c.State, &in.State)
}

func pack(state []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if _, err = w.Write(state); err == nil {
		err = w.Close()
	}
	return packed.Bytes(), err
}
