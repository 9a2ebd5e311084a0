package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// metrics is what Prometheus reads. What lies on disk or in the catalog is counted when it is asked for, at most a few
// times a minute.
type metrics struct {
	operations *endpoint.Metrics
	handler    http.Handler
}

func newMetrics(g *gateway) *metrics {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&stock{g: g},
	)
	return &metrics{
		operations: endpoint.NewMetrics(reg),
		handler:    promhttp.HandlerFor(reg, promhttp.HandlerOpts{DisableCompression: true}),
	}
}

// stock is a collector of what the gateway holds.
type stock struct{ g *gateway }

var (
	dumpBytes  = prometheus.NewDesc("slipway_coredumps_bytes", "Bytes that core dumps take on disk.", nil, nil)
	assetBytes = prometheus.NewDesc("slipway_assets_bytes", "Bytes that firmware takes on disk.", nil, nil)
	deviceNum  = prometheus.NewDesc("slipway_devices", "Devices that are known.", nil, nil)
	dumpNum    = prometheus.NewDesc("slipway_coredumps", "Core dumps that are kept, by how far they have come.", []string{"state"}, nil)
	buildInfo  = prometheus.NewDesc("slipway_build_info", "Always 1; the labels say what runs.", []string{"version", "commit"}, nil)
)

// Describe is prometheus.Collector.
func (s *stock) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{dumpBytes, assetBytes, deviceNum, dumpNum, buildInfo} {
		out <- d
	}
}

// Collect is prometheus.Collector. What cannot be counted is left out of the answer and logged.
func (s *stock) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(buildInfo, 1, version, commit)
	if store, err := s.g.dumpStore(); err == nil {
		gauge(dumpBytes, float64(store.Usage()))
	}
	counted := func(d *prometheus.Desc, n int64, err error, labels ...string) {
		if err != nil {
			s.g.logger.Error("metric not counted", "metric", d.String(), "error", err)
			return
		}
		gauge(d, float64(n), labels...)
	}
	bytes, err := s.g.depot.Usage()
	counted(assetBytes, bytes, err)
	devices, err := s.g.store.CountDevices("")
	counted(deviceNum, int64(devices), err)
	for _, state := range crash.States {
		n, err := s.g.store.CountCrashes(state)
		counted(dumpNum, int64(n), err, string(state))
	}
}
