package gateway

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/slipway-gateway/slipway/pkg/crash"
)

// TestAStateFolderOfTheFirstSchemaIsTakenOver starts a gateway on what commit a978fee left: see testdata/schema1.
func TestAStateFolderOfTheFirstSchemaIsTakenOver(t *testing.T) {
	cfg := settings(t)
	if err := os.MkdirAll(cfg.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-C", cfg.StateDir, "-xzf", "../../testdata/schema1/state.tar.gz").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	g, _ := start(t, cfg)
	deadline := time.Now().Add(time.Minute)
	for {
		if r, err := g.store.Regrouping(); err == nil && r != nil && !r.EndedAt.IsZero() {
			want := regexp.MustCompile(`^6 groups became 6; 2 old; a copy of before is .*/slipway-before-schema-2-\d{8}T\d{6}Z\.age$`)
			if !want.MatchString(r.String()) {
				t.Errorf("the status says %q", r)
			}
			if _, err := os.Stat(r.Backup); err != nil {
				t.Error(err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the regrouping did not end within a minute")
		}
		time.Sleep(10 * time.Millisecond)
	}
	left, err := filepath.Glob(filepath.Join(cfg.StateDir, "coredumps", "*", "*.dmp"))
	if err != nil || len(left) != 11 {
		t.Errorf("%d dumps are left, %v", len(left), err)
	}
	groups, err := g.store.Groups(crash.GroupFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for frame, want := range map[string]struct {
		least int // the dump that waited may have come
		state crash.GroupState
	}{"drive crash.cpp:75": {5, crash.Ignored}, "worker": {7, crash.Resolved}, "memset": {3, crash.Resolved}, "regulate": {1, crash.Open}} {
		found := false
		for _, one := range groups {
			if !one.Old && strings.Contains(one.TopFrame, frame) {
				found = one.Count >= want.least && one.Count <= want.least+1 && one.State == want.state
			}
		}
		if !found {
			t.Errorf("there is no group at %s that is %s with %d crashes: %+v", frame, want.state, want.least, groups)
		}
	}
}
