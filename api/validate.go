package api

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"
)

// validate holds a request against openapi.yaml, and is stricter where the document cannot say it: no
// unknown or doubled parameters, no body where none is read, no sloppy JSON.
func validate(c echo.Context, op *operation) error {
	request := c.Request()
	query, err := url.ParseQuery(request.URL.RawQuery)
	if err != nil {
		return invalid("", "the query is malformed; percent-encode what is not a letter or digit").because(err)
	}
	if err := op.checkQuery(query); err != nil {
		return err
	}
	if len(request.Header.Values("Idempotency-Key")) > 1 {
		return invalid("Idempotency-Key", "Idempotency-Key: stands twice; send one")
	}
	pathParams, err := pathParams(c)
	if err != nil {
		return err
	}
	if err := op.checkBody(request, c.Response()); err != nil {
		return err
	}
	err = openapi3filter.ValidateRequest(request.Context(), &openapi3filter.RequestValidationInput{
		Request: request, PathParams: pathParams, QueryParams: query,
		Route: &routers.Route{Spec: op.doc, Path: op.path, PathItem: op.item, Method: op.method, Operation: op.op},
		Options: &openapi3filter.Options{
			AuthenticationFunc:  openapi3filter.NoopAuthenticationFunc, // authenticate has done it
			SkipSettingDefaults: true,
		},
	})
	if err != nil {
		return fromSchema(err)
	}
	return nil
}

func (o *operation) checkQuery(query url.Values) error {
	var known []string
	for _, parameter := range slices.Concat(o.item.Parameters, o.op.Parameters) {
		if parameter.Value.In == openapi3.ParameterInQuery {
			known = append(known, parameter.Value.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case len(known) == 0:
			return invalid(clip(name), "%s: this operation has no query parameters", clip(name))
		case !slices.Contains(known, name):
			return invalid(clip(name), "%s: unknown query parameter; the parameters are %s", clip(name), strings.Join(known, ", "))
		case len(query[name]) > 1:
			return invalid(name, "%s: stands twice; send one", name)
		}
	}
	return nil
}

// pathParams are the path's values, percent-decoded once.
func pathParams(c echo.Context) (map[string]string, error) {
	values := map[string]string{}
	for i, name := range c.ParamNames() {
		value := c.ParamValues()[i]
		if c.Request().URL.RawPath != "" { // else the router has worked on the decoded path
			decoded, err := url.PathUnescape(value)
			if err != nil {
				return nil, invalid(name, "%s: malformed percent-encoding", name).because(err)
			}
			value = decoded
		}
		values[name] = value
	}
	return values, nil
}

// checkBody reads the body once, checks its form, and puts it back for who reads it next.
func (o *operation) checkBody(request *http.Request, w http.ResponseWriter) error {
	if o.op.RequestBody == nil {
		return checkNoBody(request)
	}
	body, err := readBody(request, w)
	if err != nil {
		return err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	request.ContentLength = int64(len(body))
	switch {
	case len(body) == 0 && o.op.RequestBody.Value.Required:
		return invalid("", "the body is missing; send a JSON object")
	case len(body) == 0:
		request.Body = http.NoBody
		return nil
	}
	if err := checkMediaType(request.Header); err != nil {
		return err
	}
	return checkJSON(body)
}

// checkNoBody reads no further than it must to see a body: its size and its form do not matter.
func checkNoBody(request *http.Request) error {
	unwanted := invalid("", "this operation reads no body; leave it out (DELETE takes query parameters)")
	if request.ContentLength > 0 {
		return unwanted
	}
	if _, err := io.ReadFull(request.Body, make([]byte, 1)); !errors.Is(err, io.EOF) {
		return unwanted.because(err)
	}
	return nil
}

// fromSchema words what kin-openapi found: the place, what is wrong and what would be right.
func fromSchema(err error) *problem {
	var requestError *openapi3filter.RequestError
	where := ""
	if errors.As(err, &requestError) && requestError.Parameter != nil {
		where = requestError.Parameter.Name
	}
	if schemaError, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		if pointer := strings.Join(schemaError.JSONPointer(), "."); pointer != "" {
			where = clip(pointer)
		}
		if _, name, quoted := strings.Cut(schemaError.Reason, `property "`); quoted && schemaError.SchemaField == "properties" {
			name, _, _ = strings.Cut(name, `" is unsupported`)
			where = clip(name)
		}
		return invalid(where, "%s", words(where, schemaError))
	}
	reason := "malformed value"
	var parseError *openapi3filter.ParseError
	switch {
	case errors.Is(err, openapi3filter.ErrInvalidRequired):
		reason = "missing; add it"
	case errors.Is(err, openapi3filter.ErrInvalidEmptyValue):
		reason = "empty; give it a value or leave it out"
	case errors.As(err, &parseError) && requestError != nil && requestError.Parameter != nil:
		reason = "write a value of type " + strings.Join(requestError.Parameter.Schema.Value.Type.Slice(), " or ")
	}
	return invalid(where, "%s", strings.TrimPrefix(where+": "+reason, ": ")).because(err)
}

func words(where string, err *openapi3.SchemaError) string {
	text := clip(err.Reason)
	switch err.SchemaField {
	case "properties", "additionalProperties":
		text = "unknown field; the fields are " + strings.Join(slices.Sorted(maps.Keys(err.Schema.Properties)), ", ")
	case "required":
		text = "missing; add it"
	case "enum":
		values := make([]string, 0, len(err.Schema.Enum))
		for _, value := range err.Schema.Enum {
			if word, ok := value.(string); ok {
				values = append(values, word)
			}
		}
		text = "use " + strings.Join(values, ", ")
	case "pattern":
		text = "malformed: " + err.Schema.Description
	case "format":
		text = "malformed; write it as RFC 3339, such as 2027-03-01T00:00:00Z"
	case "type":
		text = "write a value of type " + strings.Join(err.Schema.Type.Slice(), " or ")
	}
	if where == "" {
		return "the body: " + text
	}
	return where + ": " + text
}
