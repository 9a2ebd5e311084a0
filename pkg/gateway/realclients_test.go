//go:build clients

package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/slipway-gateway/slipway/testdata/clients"
)

// What each of them is answered, in the order in which the programs ask.
const answeredInOrder = "200 206 416 304 401 200 201 200"

// Programs that people and scripts have, as they are installed: curl, Python's requests, Node's fetch, and Go's net/http.
func TestRealClientsAreServed(t *testing.T) {
	const scripts = "../../testdata/clients/real/"
	p := newPlantOfMatrix(t, nil)
	for name, ask := range map[string]func(...string) (string, error){
		"curl":            program("sh", scripts+"fetch.sh"),
		"Python requests": program("python3", scripts+"fetch.py"),
		"Node":            program("node", scripts+"fetch.mjs"),
		"Go":              askByGo,
	} {
		t.Run(name, func(t *testing.T) {
			d, key := p.device(clients.Client{})
			out := t.TempDir()
			statuses, err := ask("http://"+p.front.address, d.ID, d.Secret, p.path, out)
			if got := strings.TrimSpace(statuses); err != nil || got != answeredInOrder {
				t.Fatalf("answered %q, want %q: %v", got, answeredInOrder, err)
			}
			for _, file := range []string{"whole", "resumed", "below"} {
				if b, err := os.ReadFile(filepath.Join(out, file)); err != nil || !bytes.Equal(b, p.new) {
					t.Errorf("%s: %d bytes of %d, %v", file, len(b), len(p.new), err)
				}
			}
			var manifest struct{ Version string }
			b, err := os.ReadFile(filepath.Join(out, "manifest"))
			if err == nil {
				err = json.Unmarshal(b, &manifest)
			}
			if err != nil || manifest.Version != "1.1.0" {
				t.Errorf("manifest %s: %v", b, err)
			}
			if !p.has(key) {
				t.Error("no dump came")
			}
		})
	}
}

func program(name, script string) func(...string) (string, error) {
	return func(args ...string) (string, error) {
		var complaints strings.Builder
		cmd := exec.Command(name, append([]string{script}, args...)...)
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, complaints.String())
		}
		return string(out), err
	}
}

func askByGo(args ...string) (statuses string, err error) {
	base, id, secret, path, out := args[0], args[1], args[2], args[3], args[4]
	ask := func(method, url, secret, file string, body io.Reader, header ...string) (http.Header, []byte) {
		req, e := http.NewRequest(method, url, body)
		if e != nil {
			err = e
			return nil, nil
		}
		if secret != "" {
			req.SetBasicAuth(id, secret)
		}
		for i := 0; i+1 < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, e := http.DefaultClient.Do(req)
		if e != nil {
			err = e
			return nil, nil
		}
		defer resp.Body.Close()
		b, e := io.ReadAll(resp.Body)
		if e == nil && file != "" {
			e = os.WriteFile(filepath.Join(out, file), b, 0o600)
		}
		if e != nil {
			err = e
		}
		statuses += fmt.Sprint(resp.StatusCode, " ")
		return resp.Header, b
	}
	firmware := base + "/api/iot/firmware"
	h, whole := ask("GET", firmware, secret, "whole", nil)
	_, rest := ask("GET", firmware, secret, "", nil, "Range", "bytes=10000-")
	if err != nil || len(whole) < 10000 {
		return statuses, err
	}
	if err := os.WriteFile(filepath.Join(out, "resumed"), append(whole[:10000:10000], rest...), 0o600); err != nil {
		return statuses, err
	}
	ask("GET", firmware, secret, "", nil, "Range", "bytes=99999999-")
	ask("GET", firmware, secret, "", nil, "If-None-Match", h.Get("ETag"))
	ask("GET", firmware, "wrong", "", nil)
	ask("GET", base+"/api/iot/manifest.json", secret, "manifest", nil)
	ask("POST", base+"/api/iot/coredump?chip=esp32c3&firmware_version=1.0.0", secret, "", strings.NewReader("a dump by Go"))
	ask("GET", base+path+"/api/iot/firmware", "", "below", nil)
	return statuses, err
}
