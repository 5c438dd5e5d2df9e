package activities

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/compozy/schedules/config"
)

func exportDuration(d *durationpb.Duration) string {
	if d.AsDuration() == 0 {
		return ""
	}
	return config.DurationText(d.AsDuration())
}

func exportRetry(r *commonpb.RetryPolicy) *config.Retry {
	if r == nil {
		return nil
	}
	return &config.Retry{
		InitialInterval:    r.GetInitialInterval().AsDuration(),
		BackoffCoefficient: r.GetBackoffCoefficient(),
		MaximumInterval:    r.GetMaximumInterval().AsDuration(),
		MaximumAttempts:    r.GetMaximumAttempts(),
		NonRetryableErrors: r.GetNonRetryableErrorTypes(),
	}
}

// exportInput is nil where the input is no single JSON object.
func exportInput(input *commonpb.Payloads) map[string]any {
	if len(input.GetPayloads()) != 1 {
		return nil
	}
	value, err := jsonValue(input.GetPayloads()[0])
	object, ok := value.(map[string]any)
	if err != nil || !ok {
		return nil
	}
	return object
}

// inputFault says why an input is not in the YAML.
func inputFault(input *commonpb.Payloads) string {
	if n := len(input.GetPayloads()); n != 1 {
		return fmt.Sprintf("input: %d arguments, and the YAML has one, a JSON object", n)
	}
	value, err := jsonValue(input.GetPayloads()[0])
	if _, ok := value.(map[string]any); !ok && (err == nil || errors.Is(err, errChanged)) {
		return "input: " + jsonKind(value) + ", and the YAML has a JSON object"
	}
	return fmt.Sprintf("input: %v", err)
}

// exportMemo leaves out what each project writes into its runs' memos itself.
func exportMemo(memo *commonpb.Memo) map[string]any {
	values := map[string]any{}
	for name, payload := range withoutOwn(memo).GetFields() {
		if value, err := jsonValue(payload); err == nil {
			values[name] = value
		}
	}
	return values
}

// withoutOwn is a memo without the fields of ours, which copies of our schedules have too.
func withoutOwn(memo *commonpb.Memo) *commonpb.Memo {
	if memoText(memo, memoManagedBy) != managedBy {
		return memo
	}
	fields := maps.Clone(memo.GetFields())
	for _, own := range []string{memoManagedBy, memoProject, memoWorkflowID, memoScheduleID, memoRevision} {
		delete(fields, own)
	}
	return &commonpb.Memo{Fields: fields}
}

func memoFaults(memo *commonpb.Memo) (faults []string) {
	fields := withoutOwn(memo).GetFields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if _, err := jsonValue(fields[name]); err != nil {
			faults = append(faults, fmt.Sprintf("memo %s: %s", name, err))
		}
	}
	return faults
}

func exportSearchAttributes(attributes *commonpb.SearchAttributes) map[string]any {
	values := map[string]any{}
	for name, payload := range attributes.GetIndexedFields() {
		if value, err := searchValue(payload); err == nil {
			values[name] = value
		}
	}
	return values
}

func searchFaults(attributes *commonpb.SearchAttributes) (faults []string) {
	fields := attributes.GetIndexedFields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if _, err := searchValue(fields[name]); err != nil {
			faults = append(faults, fmt.Sprintf("search attribute %s: %s", name, err))
		}
	}
	return faults
}

// searchValue is what the YAML takes for a search attribute: text, a number, true, false, a list of texts.
func searchValue(payload *commonpb.Payload) (any, error) {
	value, err := jsonValue(untyped(payload))
	switch v := value.(type) {
	case []any:
		texts := make([]string, len(v))
		for i, entry := range v {
			text, ok := entry.(string)
			if !ok {
				return nil, errors.New("a list of something else than texts")
			}
			texts[i] = text
		}
		return texts, err
	case nil, map[string]any:
		if err == nil {
			err = errors.New(jsonKind(value) + ", which the YAML does not have here")
		}
		return nil, err
	}
	return value, err
}

// untyped is a search attribute without the type that SDKs note: the namespace knows it better.
func untyped(payload *commonpb.Payload) *commonpb.Payload {
	metadata := maps.Clone(payload.GetMetadata())
	delete(metadata, "type")
	return &commonpb.Payload{Metadata: metadata, Data: payload.GetData(), ExternalPayloads: payload.GetExternalPayloads()}
}

// errChanged is about a value that comes back from the YAML as another.
var errChanged = errors.New("a value that the YAML would change, such as 1.0 or a number too large")

// jsonValue is a payload as the loader reads it from YAML. The error is a payload that would become another.
func jsonValue(payload *commonpb.Payload) (any, error) {
	for _, name := range slices.Sorted(maps.Keys(payload.GetMetadata())) {
		if name != converter.MetadataEncoding {
			return nil, fmt.Errorf("the metadata %q, for which the YAML has no key", name)
		}
	}
	var value any
	switch encoding := string(payload.GetMetadata()[converter.MetadataEncoding]); encoding {
	case converter.MetadataEncodingNil:
	case converter.MetadataEncodingJSON:
		decoder := json.NewDecoder(bytes.NewReader(payload.GetData()))
		decoder.UseNumber()
		if err := decoder.Decode(&value); err != nil {
			return nil, errors.New("data that is no JSON")
		}
		value = plainNumbers(value)
	default:
		return nil, fmt.Errorf("the encoding %q, and the YAML has plain JSON only", encoding)
	}
	again, err := converter.GetDefaultDataConverter().ToPayload(value)
	if err != nil || payloadText(again) != payloadText(payload) || len(payload.GetExternalPayloads()) > 0 {
		return value, errChanged
	}
	return value, nil
}

// plainNumbers makes the numbers in a JSON value those that the loader makes of YAML.
func plainNumbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, entry := range v {
			v[name] = plainNumbers(entry)
		}
	case []any:
		for i, entry := range v {
			v[i] = plainNumbers(entry)
		}
	case json.Number:
		return plainNumber(v)
	}
	return value
}

func plainNumber(n json.Number) any {
	if whole, err := n.Int64(); err == nil {
		return whole
	}
	var positive uint64
	if err := json.Unmarshal([]byte(n), &positive); err == nil {
		return positive
	}
	fraction, err := n.Float64()
	if err != nil {
		return n.String() // too large for any number: the text is not the same, which the caller sees
	}
	return fraction
}

func jsonKind(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case string:
		return "a text"
	case bool:
		return "true or false"
	}
	return "a number"
}
