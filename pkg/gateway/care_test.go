package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/slipway-gateway/slipway/pkg/crash"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

func TestMetricsSayWhatIsWrongAndWhatEndsSoon(t *testing.T) {
	cfg := settings(t)
	g, err := New(cfg, Binary{Version: "1.2.3"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	scrape := func() string {
		w := httptest.NewRecorder()
		g.metrics.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
	fresh := scrape()
	for _, kind := range troubleKinds {
		if want := fmt.Sprintf("slipway_trouble{kind=%q} 0\n", kind); !strings.Contains(fresh, want) {
			t.Errorf("without %s", want)
		}
	}
	end := fmt.Sprintf("slipway_certificate_end_timestamp_seconds %s\n", regexp.QuoteMeta(fmt.Sprint(float64(g.identity.NotAfter().Unix()))))
	for _, want := range []string{`slipway_disk_free_bytes\{folder="state"\} [1-9]`, `slipway_disk_free_bytes\{folder="assets"\} [1-9]`, end} {
		if !regexp.MustCompile(want).MatchString(fresh) {
			t.Errorf("without %s:\n%s", want, fresh)
		}
	}
	if strings.Contains(fresh, "slipway_backup_age_seconds ") {
		t.Error("there is no backup, and it has an age")
	}
	made := time.Now().Add(-3 * time.Hour).UTC().Format("20060102T150405Z")
	if err := os.MkdirAll(cfg.BackupDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.BackupDir(), "slipway-"+made+".age"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if aged := scrape(); !regexp.MustCompile(`slipway_backup_age_seconds 108\d\d`).MatchString(aged) {
		t.Errorf("the backup of three hours ago has another age:\n%s", aged)
	}
}

func TestCrashesAreCountedByVersionAndByWhatTheyWere(t *testing.T) {
	m := newMetrics()
	for n := range mostVersions + 5 {
		m.crashCame(crash.Crash{Model: "pump", Version: fleet.Version(fmt.Sprintf("1.%d", n))}, crash.Known)
	}
	m.crashCame(crash.Crash{Model: "pump", Version: "1.0"}, crash.Regression)
	for labels, want := range map[[3]string]float64{{"pump", "1.0", "known"}: 1, {"pump", "1.0", "regression"}: 1, {"pump", "1.0", "new"}: 0, {"pump", "other", "known"}: 5} {
		if got := testutil.ToFloat64(m.crashes.WithLabelValues(labels[:]...)); got != want {
			t.Errorf("%v: %v, want %v", labels, got, want)
		}
	}
	if n := testutil.CollectAndCount(m.crashes); n != 3*mostVersions+1 {
		t.Errorf("%d series", n)
	}
}
