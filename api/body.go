package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
)

const (
	// maxBody is the most bytes that a body may have.
	maxBody = 64 << 10
	// maxDepth is how deep a body's JSON may nest.
	maxDepth = 32
)

// readBody reads the whole body, at most maxBody.
func readBody(r *http.Request, w http.ResponseWriter) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLong *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &tooLong):
		return nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, newProblem(kindTimeout(), "the body did not arrive in time; send it again").because(err)
	}
	return nil, invalid("", "the body cannot be read to its end; send it again").because(err)
}

func tooLarge() *problem {
	return newProblem(kindTooLarge(), "the body is over %d KiB; send less", maxBody>>10)
}

// checkMediaType accepts JSON in UTF-8, as it is.
func checkMediaType(header http.Header) error {
	refused := newProblem(kindMediaType(), "send the body as Content-Type: application/json, in UTF-8, without Content-Encoding").
		with("Accept", echo.MIMEApplicationJSON) // RFC 9110, section 12.5.1
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		refused.Field = "Content-Encoding"
		return refused
	}
	refused.Field = "Content-Type"
	if len(header.Values("Content-Type")) != 1 {
		return refused
	}
	mediaType, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || mediaType != echo.MIMEApplicationJSON {
		return refused
	}
	if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return refused
	}
	return nil
}

// checkJSON accepts exactly one JSON object without doubled keys. encoding/json alone takes the last of
// doubled keys, repairs wrong UTF-8 and reads only the first of several values.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return invalid("", "the body is not UTF-8; send JSON in UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := checkValue(decoder, "", 0); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return invalid("", "the body has more than one JSON value; send one object")
	}
	return nil
}

func checkValue(decoder *json.Decoder, path string, depth int) error {
	token, err := decoder.Token()
	if err != nil {
		return notJSON(path, err)
	}
	delim, nested := token.(json.Delim)
	switch {
	case depth == 0 && delim != '{':
		return invalid("", "the body is not a JSON object; send one, such as {}")
	case !nested:
		return nil
	case depth == maxDepth:
		return invalid(path, "%s: the body nests deeper than %d", path, maxDepth)
	}
	seen := map[string]bool{}
	for decoder.More() {
		at := path
		if delim == '{' {
			if at, err = checkKey(decoder, path, seen); err != nil {
				return err
			}
		}
		if err := checkValue(decoder, at, depth+1); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return notJSON(path, err)
	}
	return nil
}

func checkKey(decoder *json.Decoder, path string, seen map[string]bool) (string, error) {
	token, err := decoder.Token()
	if err != nil {
		return "", notJSON(path, err)
	}
	key, ok := token.(string)
	if !ok {
		return "", invalid(path, "the body is not JSON: a key is text in quotation marks")
	}
	at := strings.TrimPrefix(path+"."+key, ".")
	if seen[key] {
		return "", invalid(clip(at), "%s: stands twice; remove one", clip(at))
	}
	seen[key] = true
	return at, nil
}

func notJSON(path string, err error) *problem {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid(clip(path), "the body is not JSON: it ends too early")
	}
	return invalid(clip(path), "the body is not JSON: %s", clip(err.Error()))
}

// clip keeps what a client sent from filling the answer.
func clip(text string) string {
	const most = 100
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// decodeBody reads a body that validate has accepted. An empty one leaves the target as it is.
func decodeBody(c echo.Context, target any) error {
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return fmt.Errorf("read the checked body: %w", err)
	}
	if len(body) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(target); err != nil {
		return invalid("", "the body cannot be read: %s", clip(err.Error()))
	}
	return nil
}
