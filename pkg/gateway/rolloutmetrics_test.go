package gateway

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// listed are rollouts of which two are a page.
type listed []fleet.Rollout

func (l listed) List(f fleet.RolloutFilter) (page []fleet.Rollout, next string, err error) {
	from := 0
	for i, r := range l {
		if r.ObjectOf().ID == f.After {
			from = i + 1
		}
	}
	if page = l[from:min(from+2, len(l))]; from+2 < len(l) {
		next = page[1].ObjectOf().ID
	}
	return page, next, nil
}

// collected are the series of rollouts, as Prometheus reads them.
func collected(t *testing.T, list rolloutList) map[string]float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(newRolloutStock(&overview{rollouts: list}, slog.New(slog.DiscardHandler)))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			series[family.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue()
		}
	}
	return series
}

func TestTheNewestRolloutOfEachModelIsMeasured(t *testing.T) {
	series := collected(t, listed{
		{Model: "fan", Number: 3, State: fleet.RolloutHalted, Counts: fleet.RolloutCounts{Lost: 3, Waiting: 397, Crashed: 1}, Evidence: fleet.RolloutEvidence{Total: 60717, Loss: 242868}},
		{Model: "fan", Number: 2, State: fleet.RolloutFinished, Counts: fleet.RolloutCounts{Healthy: 400}},
		{Model: "fan", Number: 1, State: fleet.RolloutFinished},
		{Model: "pump", Number: 1, State: fleet.RolloutHeld},
	})
	for name, want := range map[string]float64{
		"slipway_rollout_state{model=fan,state=halted}": 1, "slipway_rollout_state{model=fan,state=finished}": 0, "slipway_rollout_state{model=pump,state=held}": 1,
		"slipway_rollout_devices{model=fan,state=lost}": 3, "slipway_rollout_devices{model=fan,state=healthy}": 0, "slipway_rollout_devices{model=fan,state=crashed}": 1,
		"slipway_rollout_evidence{model=fan,stream=total}": 60717, "slipway_rollout_evidence{model=fan,stream=loss}": 242868, "slipway_rollout_evidence{model=pump,stream=silence}": 0,
	} {
		if got, there := series[name]; !there || got != want {
			t.Errorf("%s is %v, there: %t; want %v", name, got, there, want)
		}
	}
	if len(series) != 50 {
		t.Errorf("%d series of two models", len(series))
	}
}

func TestOfManyModelsAHundredRolloutsAreMeasured(t *testing.T) {
	var many listed
	for i := range 250 {
		many = append(many, fleet.Rollout{Model: fleet.ModelCode(fmt.Sprintf("model%03d", i)), Number: 1, State: fleet.RolloutRunning})
	}
	if series := collected(t, many); len(series) != 25*mostMeasured {
		t.Errorf("%d series", len(series))
	}
}
