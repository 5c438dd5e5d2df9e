package metrics

import (
	"fmt"
	"maps"
	"strings"

	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// seconds are the buckets of the SDK's latencies, from a local call to a long poll.
var seconds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// SDK collects the Temporal SDK's own metrics (https://docs.temporal.io/references/sdk-metrics): task queue
// slots, polls, latencies, failures.
func (m *Metrics) SDK() (client.MetricsHandler, error) {
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(m.registry),
		otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo())
	if err != nil {
		return nil, fmt.Errorf("collect the Temporal SDK's metrics: %w", err)
	}
	provider := metric.NewMeterProvider(metric.WithReader(exporter), metric.WithView(metric.NewView(
		metric.Instrument{Unit: "s"},
		metric.Stream{Aggregation: metric.AggregationExplicitBucketHistogram{Boundaries: seconds}},
	)))
	return stableQueues{opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter:                provider.Meter("temporal-sdk-go"),
		OnError:              func(error) {}, // a metric that cannot be kept is not worth a crash
		UseMonotonicCounters: true,
	})}, nil
}

// stableQueues names the task queues of all revisions alike: a series for each revision would gather
// without end.
type stableQueues struct{ client.MetricsHandler }

const (
	queueTag    = "task_queue"
	revisionTag = "-rev-"
)

// WithTags returns a handler with those tags.
func (h stableQueues) WithTags(tags map[string]string) client.MetricsHandler {
	if queue, _, found := strings.Cut(tags[queueTag], revisionTag); found {
		stable := maps.Clone(tags)
		stable[queueTag] = queue + revisionTag + "*"
		tags = stable
	}
	return stableQueues{h.MetricsHandler.WithTags(tags)}
}
