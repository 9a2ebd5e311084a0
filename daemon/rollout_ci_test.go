package main

import (
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// TestTheReadmesLinesForCIWaitForTheEndOfARollout runs them as they stand there, against a gateway whose rollout ends at the
// third look.
func TestTheReadmesLinesForCIWaitForTheEndOfARollout(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("(?s)```\n(while r=.*?)```").FindSubmatch(readme)
	if lines == nil {
		t.Fatal("the README has no lines that wait")
	}
	for end, want := range map[fleet.RolloutState]int{
		fleet.RolloutFinished: 0, fleet.RolloutHalted: 1, fleet.RolloutRetreating: 1, fleet.RolloutRetreated: 1, fleet.RolloutReplaced: 1, "": 3,
	} {
		var looks atomic.Int64
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			state := fleet.RolloutRunning
			if looks.Add(1) == 3 {
				state = end
			}
			if state == "" || r.URL.Path != ofPump+"/newest" || r.Header.Get("Authorization") != "Bearer slw_1_x" {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, rolloutJSON(t, func(r *fleet.Rollout) { r.State = state }))
		}))
		dir := t.TempDir()
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
		if err := os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600); err != nil {
			t.Fatal(err)
		}
		script := strings.NewReplacer("https://gateway.example:8443", server.URL, "MODEL_CODE", "pump", "sleep 60", "sleep 0").Replace(string(lines[1]))
		cmd := exec.Command("sh", "-c", script)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "SLIPWAY_TOKEN=slw_1_x")
		out, err := cmd.CombinedOutput()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != want || looks.Load() != 3 {
			t.Errorf("%q: the lines end with %d after %d looks, want %d: %s", end, code, looks.Load(), want, out)
		}
		server.Close()
	}
}
