package endpoint

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts operations: the acts that an operator watches, not every route.
type Metrics struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

// NewMetrics registers the two metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_operations_total",
			Help: "Operations that ended, by their outcome.",
		}, []string{"operation", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "slipway_operation_duration_seconds",
			Help:    "Time that operations took, the sending of their answers included.",
			Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60, 300}, // from a poll to a bundle on a slow line
		}, []string{"operation"}),
	}
	reg.MustRegister(m.total, m.duration)
	return m
}

// Prepare lets operations that no route names be seen before they happen: from nothing to one is no increase.
func (m *Metrics) Prepare(operations ...string) {
	for _, operation := range operations {
		m.series(operation)
	}
}

// Observe counts an operation that did not come through a route, such as the ingest of a dropped file.
func (m *Metrics) Observe(operation string, elapsed time.Duration, failed bool) {
	m.series(operation).observe(elapsed, failed)
}

// Name counts this request under another operation than its route's, for routes that learn what they do from the body.
func (m *Metrics) Name(w http.ResponseWriter, operation string) {
	if rw, ok := w.(*response); ok {
		rw.operation = m.series(operation)
	}
}

// series are one operation's metrics, looked up once: a poll should not pay for it.
type series struct {
	success, failure prometheus.Counter
	duration         prometheus.Observer
}

func (m *Metrics) series(operation string) *series {
	return &series{
		success:  m.total.WithLabelValues(operation, "success"),
		failure:  m.total.WithLabelValues(operation, "error"),
		duration: m.duration.WithLabelValues(operation),
	}
}

func (s *series) observe(elapsed time.Duration, failed bool) {
	if s == nil {
		return
	}
	if failed {
		s.failure.Inc()
	} else {
		s.success.Inc()
	}
	s.duration.Observe(elapsed.Seconds())
}
