package bundle

import "testing"

func TestAVersionThatTheDescriptorCutsOffIsNoDisagreement(t *testing.T) {
	long := "v5.1.2-dev-1234-gabcdef0123-dirty-and-more"
	for _, test := range []struct {
		text, field string
		want        bool
	}{{"1.0", "1.0", true}, {"1.0.1", "1.0", false}, {long, long[:31], true}, {long, long[:30], false}, {"other" + long, long[:31], false}} {
		if got := said(test.text, test.field); got != test.want {
			t.Errorf("said(%q, %q) = %v", test.text, test.field, got)
		}
	}
}
