package gateway

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/pkg/config"
	"github.com/slipway-gateway/slipway/pkg/decoding"

	"github.com/slipway-gateway/slipway/testdata/described"
)

// TestMain lets the gateway start this binary as its worker.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "worker" {
		if err := decoding.Work(os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(described.Main(m.Run))
}

// settings are those of a gateway on a free port with its state in a test's folder; more are KEY=VALUE and win.
func settings(t testing.TB, more ...string) config.Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "slw") // a unix socket's path is short, and a test's folder is not
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cfg, err := config.Load(config.Options{Sets: append([]string{
		"state_dir=" + filepath.Join(t.TempDir(), "state"), "socket=" + filepath.Join(dir, "s"),
		"listen.https=off", "listen.http=127.0.0.1:0", "dumps.max_use=50%", "dumps.keep_free=1%",
	}, more...)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// start runs a gateway in this process and returns the address of its door without TLS. It ends with the test.
func start(t *testing.T, cfg config.Config) (g *Gateway, address string) {
	t.Helper()
	g, err := New(cfg, Binary{Version: "1.2.3", Commit: "abc"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	_, address, _ = strings.Cut(g.Addresses(), "http=")
	return g, "http://" + address
}

// get reads a page, which a gateway that still recovers answers once it is done.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(read)
}

func TestTwoGatewaysRunInOneProcess(t *testing.T) {
	for range 2 {
		_, url := start(t, settings(t))
		if status, body := get(t, url+"/metrics"); status != http.StatusOK || !strings.Contains(body, `slipway_build_info{commit="abc",version="1.2.3"} 1`) {
			t.Errorf("%d %s", status, body)
		}
		var health struct{ Status string }
		status, body := get(t, url+"/api/health")
		if err := json.Unmarshal([]byte(body), &health); err != nil || status != http.StatusOK {
			t.Errorf("%d %s", status, body)
		}
	}
}

func TestAGatewayThatCannotStartGivesBackWhatItTook(t *testing.T) {
	cfg := settings(t)
	if err := os.MkdirAll(filepath.Join(cfg.StateDir, "catalog"), 0o700); err != nil {
		t.Fatal(err)
	}
	schema := filepath.Join(cfg.StateDir, "catalog", "SCHEMA")
	if err := os.WriteFile(schema, []byte("999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a socket that was kept would be in the second's way
		if _, err := New(cfg, Binary{}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "schema 999") {
			t.Fatalf("%v", err)
		}
	}
}
