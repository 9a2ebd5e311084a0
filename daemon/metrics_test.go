package main

import (
	"strings"
	"testing"
)

func TestWhatAlertsWatchIsCountedFromTheStart(t *testing.T) {
	g := startGateway(t)
	metrics := string(g.ask("GET", "/metrics", "", nil).body)
	for _, series := range []string{
		`slipway_operations_total{operation="drop_ingest",status="error"} 0`,
		`slipway_operations_total{operation="pipeline_upload_firmware",status="error"} 0`,
		`slipway_operations_total{operation="pipeline_upload_firmware_zip",status="error"} 0`,
		`slipway_operations_total{operation="iot_upload_coredump",status="error"} 0`,
		`slipway_operations_total{operation="oauth_token",status="error"} 0`,
		`slipway_new_crashes_total{news="new"} 0`,
		`slipway_log_lines_dropped_total 0`,
		`slipway_new_crashes_total{news="regression"} 0`,
		`slipway_decode_workers_killed_total{limit="memory"} 0`,
	} {
		if !strings.Contains(metrics, series+"\n") {
			t.Errorf("a gateway that has just started does not show %s", series)
		}
	}
}
