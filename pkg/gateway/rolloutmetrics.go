package gateway

import (
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// rolloutList is what metrics ask of rollouts.
type rolloutList interface {
	List(fleet.RolloutFilter) (page []fleet.Rollout, next string, err error)
}

// rolloutStock is a collector of how the newest rollout of each model stands.
type rolloutStock struct {
	*overview
	logger *slog.Logger

	devices, evidence, state *prometheus.Desc
}

// mostMeasured models have their rollouts in the metrics: each is 25 series.
const mostMeasured = 100

func newRolloutStock(whole *overview, logger *slog.Logger) *rolloutStock {
	return &rolloutStock{
		overview: whole, logger: logger,
		devices:  prometheus.NewDesc("slipway_rollout_devices", "Devices of the newest rollout of a model, by their state in it; crashed is a mark beside the state.", []string{"model", "state"}, nil),
		evidence: prometheus.NewDesc("slipway_rollout_evidence", "How many times better \"it is worse\" explains what was seen of the newest rollout than \"it is not\"; it halts by the total.", []string{"model", "stream"}, nil),
		state:    prometheus.NewDesc("slipway_rollout_state", "1 for the state of the newest rollout of a model, 0 for every other one.", []string{"model", "state"}, nil),
	}
}

// Describe is prometheus.Collector.
func (s *rolloutStock) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.devices, s.evidence, s.state} {
		out <- d
	}
}

// Collect is prometheus.Collector.
func (s *rolloutStock) Collect(out chan<- prometheus.Metric) {
	newest, err := s.newest()
	if err != nil {
		s.logger.Error("metric not counted", "metric", s.state.String(), "error", err)
		return
	}
	for _, r := range newest {
		gauge := func(d *prometheus.Desc, v float64, label string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, string(r.Model), label)
		}
		for _, state := range fleet.RolloutStates {
			v := 0.0
			if r.State == state {
				v = 1
			}
			gauge(s.state, v, string(state))
		}
		for _, state := range append(slices.Clone(fleet.MemberStates), fleet.MarkCrashed) {
			gauge(s.devices, float64(r.Counts.Of(state)), string(state))
		}
		for stream, v := range map[string]float64{
			"total": r.Evidence.Total, "loss": r.Evidence.Loss, "crash": r.Evidence.Crash, "silence": r.Evidence.Silence, "signature": r.Evidence.Signature,
		} {
			gauge(s.evidence, v, stream)
		}
	}
}

// newest is the newest rollout of each model: lists have them first.
func (s *rolloutStock) newest() (newest []fleet.Rollout, err error) {
	f := fleet.RolloutFilter{Limit: 1000}
	for {
		page, next, err := s.rollouts.List(f)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			if n := len(newest); n > 0 && newest[n-1].Model == r.Model {
				continue
			}
			if len(newest) == mostMeasured {
				return newest, nil
			}
			newest = append(newest, r)
		}
		if next == "" {
			return newest, nil
		}
		f.After = next
	}
}
