package rollout

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// FuzzPlan: whatever a body says is refused, or is a plan whose waves grow up to all devices, which is complete and stays as it is.
func FuzzPlan(f *testing.F) {
	for _, s := range []string{
		`"standard"`, `{"name":"small","unproven":5}`, `{"waves":[{"devices":3,"rest":"30m"},{"share":0.5,"rule_out_daily":0.005},{"share":1}]}`,
		`{"waves":[{"devices":40,"rule_out_boot_crash":0.05},{"share":1e-320},{"share":1}],"up_within":"15m"}`, `{"waves":[{"share":1}],"unproven":-1}`, `null`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var given fleet.Plan
		if json.Unmarshal(body, &given) != nil {
			return
		}
		p, err := CheckPlan(given)
		if err != nil {
			if !errors.Is(err, fleet.ErrRefused) {
				t.Errorf("%s: %v", body, err)
			}
			return
		}
		if n := len(p.Waves); n == 0 || n > mostWaves || sizeOf(p.Waves[n-1], 1000) != 1000 || p.Unproven < 1 || p.Name == "" {
			t.Errorf("%s is %+v", body, p)
		}
		for _, w := range p.Waves {
			if size := sizeOf(w, 1000); size < 0 || w.Share > 0 && size > 1000 {
				t.Errorf("%s: a wave of %d among 1,000", body, size)
			}
		}
		kept, err := json.Marshal(p)
		var back fleet.Plan
		if err != nil || json.Unmarshal(kept, &back) != nil {
			t.Fatalf("%s is %+v, which is not kept: %v", body, p, err)
		}
		if again, err := CheckPlan(back); err != nil || len(again.Waves) != len(p.Waves) || again.Name != p.Name || again.Unproven != p.Unproven {
			t.Errorf("%s is %+v, and then %+v, %v", body, p, again, err)
		}
	})
}
