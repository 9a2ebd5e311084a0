package gateway

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/slipway-gateway/slipway/pkg/backup"
	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/decoding"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// metrics is what Prometheus reads. What lies on disk or in the catalog is counted when it is asked for, at most a few
// times a minute.
type metrics struct {
	registry   *prometheus.Registry
	operations *endpoint.Metrics
	handler    http.Handler
	decodes    prometheus.Histogram
	killed     *prometheus.CounterVec
	news       *prometheus.CounterVec
	crashes    *prometheus.CounterVec
	deliveries *prometheus.CounterVec
	died       atomic.Int64       // workers
	last       atomic.Int64       // when a dump was decoded, in milliseconds since 1970; 0: none was
	versions   map[[2]string]bool // that crashes has; triage's alone
}

func newMetrics() *metrics {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m := &metrics{
		registry:   reg,
		operations: endpoint.NewMetrics(reg),
		handler:    promhttp.HandlerFor(reg, promhttp.HandlerOpts{DisableCompression: true}),
		decodes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "slipway_decode_duration_seconds", Help: "Time that decoding took a dump, the worker's start shared by its batch.",
			Buckets: []float64{.002, .01, .025, .05, .1, .25, 1, 5, 15},
		}),
		killed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_decode_workers_killed_total", Help: "Decode workers that died, by the limit that they met.",
		}, []string{"limit"}),
		news: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_new_crashes_total", Help: "Crashes that nobody knew, and those that came back after they were resolved.",
		}, []string{"news"}),
		crashes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_crashes_total", Help: "Crashes that were decoded and counted, by model, by version (other beyond the first 200) and by what they were to their group.",
		}, []string{"model", "version", "news"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "slipway_webhook_deliveries_total", Help: "Requests that carried events to webhooks, by whether they were acknowledged.",
		}, []string{"outcome"}),
		versions: map[[2]string]bool{},
	}
	for _, outcome := range []string{"delivered", "failed"} {
		m.deliveries.WithLabelValues(outcome)
	}
	m.operations.Prepare("drop_ingest", "pipeline_upload_firmware_zip")
	for _, news := range []crash.News{crash.New, crash.Regression} {
		m.news.WithLabelValues(string(news))
	}
	for _, limit := range decoding.Limits {
		m.killed.WithLabelValues(limit)
	}
	reg.MustRegister(m.decodes, m.killed, m.news, m.crashes, m.deliveries)
	return m
}

// CountDroppedLines has the metrics tell how many lines of the log nobody took. It is called before Run.
func (g *Gateway) CountDroppedLines(dropped func() uint64) {
	g.metrics.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "slipway_log_lines_dropped_total", Help: "Lines of the log that were lost because nobody read it.",
	}, func() float64 { return float64(dropped()) }))
}

func (m *metrics) workerKilled(limit string) {
	m.killed.WithLabelValues(limit).Inc()
	m.died.Add(1)
}

// mostVersions of models have series of their own in slipway_crashes_total.
const mostVersions = 200

// crashCame counts a crash, and what somebody should look at.
func (m *metrics) crashCame(c crash.Crash, news crash.News) {
	of := [2]string{string(c.Model), string(c.Version)}
	if !m.versions[of] {
		if len(m.versions) < mostVersions {
			m.versions[of] = true
			for _, one := range []crash.News{crash.New, crash.Regression, crash.Known} {
				m.crashes.WithLabelValues(of[0], of[1], string(one)) // so that the next of another kind is an increase
			}
		} else {
			of[1] = "other"
		}
	}
	m.crashes.WithLabelValues(of[0], of[1], string(news)).Inc()
	if news == crash.New || news == crash.Regression {
		m.news.WithLabelValues(string(news)).Inc()
	}
}

// delivered counts a request to a webhook.
func (m *metrics) delivered(acknowledged bool) {
	outcome := "failed"
	if acknowledged {
		outcome = "delivered"
	}
	m.deliveries.WithLabelValues(outcome).Inc()
}

// decoded counts a batch: each dump took its share.
func (m *metrics) decoded(seconds float64, dumps int) {
	m.last.Store(time.Now().UnixMilli())
	for range dumps {
		m.decodes.Observe(seconds / float64(dumps))
	}
}

// stock is a collector of what the gateway holds.
type stock struct {
	*overview
	logger *slog.Logger
	descs  stockDescs
}

// stockDescs say what a stock has.
type stockDescs struct {
	dumpBytes, assetBytes, deviceNum, lineDark, dumpNum, waitingNum, groupNum, crowdNum,
	crowdCut, troubleNum, freeOnDisk, backupAge, hookWaits, hookFails, hookActive, certEnd, buildInfo *prometheus.Desc
}

func newStock(whole *overview, logger *slog.Logger) *stock {
	return &stock{whole, logger, stockDescs{
		dumpBytes:  prometheus.NewDesc("slipway_coredumps_bytes", "Bytes that core dumps take on disk.", nil, nil),
		assetBytes: prometheus.NewDesc("slipway_assets_bytes", "Bytes that firmware takes on disk.", nil, nil),
		deviceNum:  prometheus.NewDesc("slipway_devices", "Devices that are known, by model, the version that they run (empty: not known) and their state.", []string{"model", "version", "state"}, nil),
		lineDark:   prometheus.NewDesc("slipway_line_dark", "1 for a line whose devices fell silent together, 0 for every other one.", []string{"line"}, nil),
		dumpNum:    prometheus.NewDesc("slipway_coredumps", "Core dumps that are kept, by how far they have come.", []string{"state"}, nil),
		waitingNum: prometheus.NewDesc("slipway_decode_queue_length", "Core dumps that nobody has looked at yet.", nil, nil),
		groupNum:   prometheus.NewDesc("slipway_crash_groups_open", "Groups of crashes that are open.", nil, nil),
		crowdNum:   prometheus.NewDesc("slipway_connections_without_credentials", "Connections that have shown no good credentials, by whether they are served or wait for their turn.", []string{"state"}, nil),
		crowdCut:   prometheus.NewDesc("slipway_connections_closed_total", "Connections without good credentials that were closed because there were too many.", nil, nil),
		troubleNum: prometheus.NewDesc("slipway_trouble", "What is wrong and wants somebody, by kind, as slipway status says it; 0 where nothing is.", []string{"kind"}, nil),
		freeOnDisk: prometheus.NewDesc("slipway_disk_free_bytes", "Bytes that are free where the gateway writes.", []string{"folder"}, nil),
		backupAge:  prometheus.NewDesc("slipway_backup_age_seconds", "Age of the newest daily backup; missing where there is none.", nil, nil),
		hookWaits:  prometheus.NewDesc("slipway_webhook_waiting_events", "Events behind the last one that a webhook's receiver has acknowledged.", []string{"webhook"}, nil),
		hookFails:  prometheus.NewDesc("slipway_webhook_failing_seconds", "Time since a webhook's receiver has acknowledged nothing of what it was sent; 0 where it does.", []string{"webhook"}, nil),
		hookActive: prometheus.NewDesc("slipway_webhook_active", "1 for a webhook that events are sent to, 0 for one that is off or was disabled.", []string{"webhook"}, nil),
		certEnd:    prometheus.NewDesc("slipway_certificate_end_timestamp_seconds", "When the certificate that is served ends, in seconds since 1970.", nil, nil),
		buildInfo:  prometheus.NewDesc("slipway_build_info", "Always 1; the labels say what runs.", []string{"version", "commit"}, nil),
	}}
}

// Describe is prometheus.Collector.
func (s *stock) Describe(out chan<- *prometheus.Desc) {
	is := s.descs
	for _, d := range []*prometheus.Desc{
		is.dumpBytes, is.assetBytes, is.deviceNum, is.lineDark, is.dumpNum, is.waitingNum, is.groupNum, is.crowdNum,
		is.crowdCut, is.troubleNum, is.freeOnDisk, is.backupAge, is.hookWaits, is.hookFails, is.hookActive, is.certEnd, is.buildInfo,
	} {
		out <- d
	}
}

// Collect is prometheus.Collector. What cannot be counted is left out of the answer and logged.
func (s *stock) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(s.descs.buildInfo, 1, s.binary.Version, s.binary.Commit)
	crowd := s.gate.Crowd()
	gauge(s.descs.crowdNum, float64(crowd.Strangers), "served")
	gauge(s.descs.crowdNum, float64(crowd.Waiting), "waiting")
	out <- prometheus.MustNewConstMetric(s.descs.crowdCut, prometheus.CounterValue, float64(crowd.Closed))
	if bytes, ok := s.dumps.Usage(); ok {
		gauge(s.descs.dumpBytes, float64(bytes))
	}
	counted := func(d *prometheus.Desc, n int64, err error, labels ...string) {
		if err != nil {
			s.logger.Error("metric not counted", "metric", d.String(), "error", err)
			return
		}
		gauge(d, float64(n), labels...)
	}
	bytes, err := s.depot.Usage()
	counted(s.descs.assetBytes, bytes, err)
	for share, n := range s.book.Count() {
		gauge(s.descs.deviceNum, float64(n), string(share.Model), share.Version, string(share.State))
	}
	for line, since := range s.book.Lines() {
		dark := 0.0
		if !since.IsZero() {
			dark = 1
		}
		gauge(s.descs.lineDark, dark, line)
	}
	s.collectCare(gauge)
	inStock, err := s.store.Stock()
	for _, state := range crash.States {
		counted(s.descs.dumpNum, int64(inStock.Dumps[state]), err, string(state))
	}
	counted(s.descs.waitingNum, int64(inStock.Dumps[crash.Waiting]), err)
	counted(s.descs.groupNum, int64(inStock.Open), err)
}

// collectCare has what somebody should look after before it is too late.
func (s *stock) collectCare(gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	wrong := map[string]int{}
	for _, one := range s.troubles() {
		wrong[one.kind]++
	}
	for _, kind := range troubleKinds {
		gauge(s.descs.troubleNum, float64(wrong[kind]), kind)
	}
	for name, dir := range map[string]string{"state": s.cfg.StateDir, "catalog": s.cfg.CatalogDir, "assets": s.cfg.AssetsDir, "coredumps": s.cfg.CoredumpsDir} {
		if dir == "" {
			continue
		}
		if free, _, err := SpaceOf(dir)(); err == nil { // else it is trouble of the disk
			gauge(s.descs.freeOnDisk, float64(free), name)
		}
	}
	if at, err := backup.NewestAt(s.cfg.BackupDir()); err == nil && !at.IsZero() {
		gauge(s.descs.backupAge, max(time.Since(at).Seconds(), 0))
	}
	s.collectWebhooks(gauge)
	gauge(s.descs.certEnd, float64(s.identity.NotAfter().Unix()))
}

// collectWebhooks has who is sent events elsewhere: twenty at most.
func (s *stock) collectWebhooks(gauge func(d *prometheus.Desc, v float64, labels ...string)) {
	all, err := s.webhooks.List()
	if err != nil {
		s.logger.Error("metric not counted", "metric", "webhooks", "error", err)
		return
	}
	for _, w := range all {
		active, failing := 0.0, 0.0
		if w.Active {
			active = 1
		}
		if !w.Delivery.FailingSince.IsZero() {
			failing = max(time.Since(w.Delivery.FailingSince).Seconds(), 0)
		}
		gauge(s.descs.hookActive, active, w.ID)
		gauge(s.descs.hookWaits, float64(w.Waiting), w.ID)
		gauge(s.descs.hookFails, failing, w.ID)
	}
}
