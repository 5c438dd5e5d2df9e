package bench_test

import (
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/compozy/schedules/worker/temporaltest"
)

// A production server allows ten pages of lists a second and namespace; a development server a hundred. The SDK asks again
// by itself, so that only the time of a round would show that it met the limit.

// pauseForLimits lets a production server's limit recover.
func (f *fixture) pauseForLimits() {
	if os.Getenv(temporaltest.AddressVariable) != "" {
		time.Sleep(2 * time.Second)
	}
}

// exhausted is the SDK's counter of tries to list that were refused because of a limit.
var exhausted = regexp.MustCompile(
	`(?m)^temporal_request_failure_attempt_total\{.*operation="ListSchedules",status_code="RESOURCE_EXHAUSTED".*\} ([0-9.e+]+)$`)

// refusals counts the lists of this process, and of `serve`, that Temporal refused because of its limits.
func (f *fixture) refusals(t *testing.T) float64 {
	t.Helper()
	sum := float64(f.refused.n.Load())
	for _, api := range f.apis {
		response, err := http.Get(api + "/metrics")
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		sum += countExhausted(t, string(text))
	}
	return sum
}

// countExhausted adds up the counter in what Prometheus would read.
func countExhausted(t *testing.T, text string) (sum float64) {
	t.Helper()
	for _, match := range exhausted.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseFloat(match[1], 64)
		require.NoError(t, err)
		sum += n
	}
	return sum
}
