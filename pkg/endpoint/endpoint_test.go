package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// house is a set of routes as a door registers them, behind a real server.
type house struct {
	*httptest.Server
	routes *Routes
	logged *bytes.Buffer
	reg    *prometheus.Registry
}

func open(t *testing.T, register func(*Routes)) *house {
	t.Helper()
	h := &house{logged: &bytes.Buffer{}, reg: prometheus.NewPedanticRegistry()}
	logger := slog.New(slog.NewJSONHandler(h.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.routes = NewRoutes(logger, NewMetrics(h.reg))
	register(h.routes)
	h.Server = httptest.NewServer(h.routes)
	t.Cleanup(h.Close)
	return h
}

func (h *house) do(t *testing.T, method, path string, header http.Header) (answer, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	res, err := h.Client().Transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, res.ContentLength, res.TransferEncoding, res.Close}, body
}

// answer is what a response says before its body.
type answer struct {
	StatusCode       int
	Header           http.Header
	ContentLength    int64
	TransferEncoding []string
	Close            bool
}

func TestEveryFailureIsJSONWithDetailsAndALength(t *testing.T) {
	h := open(t, func(rs *Routes) {
		rs.Handle("GET", "/plain", "", func(http.ResponseWriter, *http.Request) error { return errors.New("the secret reason") })
		rs.Handle("GET", "/panic", "", func(http.ResponseWriter, *http.Request) error { panic("the secret reason") })
		rs.Handle("POST", "/panic", "", func(http.ResponseWriter, *http.Request) error { return nil })
		rs.Handle("GET", "/said/{thing}", "", func(_ http.ResponseWriter, r *http.Request) error {
			e := Errorf(http.StatusTooManyRequests, "too_many", "not %s yet", r.PathValue("thing")).Because(errors.New("the secret reason"))
			e.Header, e.Details, e.Description = http.Header{"Retry-After": {"7"}}, map[string]any{"limit": 3}, "wait"
			return e
		})
	})
	for _, c := range []struct {
		method, path string
		status       int
		code, header string
	}{
		{"GET", "/plain", 500, "internal_error", ""},
		{"GET", "/panic", 500, "internal_error", ""},
		{"PUT", "/panic", 405, "method_not_allowed", "Allow: GET, POST"},
		{"HEAD", "/plain", 405, "method_not_allowed", "Allow: GET"},
		{"OPTIONS", "/plain", 405, "method_not_allowed", "Allow: GET"},
		{"GET", "/", 404, "unknown_path", ""},
		{"GET", "/api/nowhere", 404, "unknown_path", ""},
		{"BREW", "/api/nowhere", 404, "unknown_path", ""},
		{"GET", "/plain/", 404, "unknown_path", ""},
		{"GET", "/said/tea", 429, "too_many", "Retry-After: 7"},
		{"GET", "//said///tea", 429, "too_many", ""},
	} {
		h.logged.Reset()
		res, body := h.do(t, c.method, c.path, nil)
		if res.StatusCode != c.status || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %v %s", c.method, c.path, res.StatusCode, res.Header, body)
		}
		if name, value, _ := strings.Cut(c.header, ": "); res.Header.Get(name) != value {
			t.Errorf("%s %s: want %s, got %v", c.method, c.path, c.header, res.Header)
		}
		if res.ContentLength <= 0 {
			t.Errorf("%s %s: no Content-Length", c.method, c.path)
		}
		if c.method == "HEAD" {
			continue
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil || int64(len(body)) != res.ContentLength {
			t.Fatalf("%s %s: %v, %d bytes of %d: %s", c.method, c.path, err, len(body), res.ContentLength, body)
		}
		if _, ok := got["details"].(map[string]any); !ok || got["code"] != c.code || got["error"] == "" {
			t.Errorf("%s %s: %s", c.method, c.path, body)
		}
		if id, _ := got["correlationId"].(string); id == "" || !strings.Contains(h.logged.String(), id) {
			t.Errorf("%s %s: correlation id %q is not in the log: %s", c.method, c.path, id, h.logged)
		}
		if strings.Contains(string(body), "secret") {
			t.Errorf("%s %s tells the client: %s", c.method, c.path, body)
		}
	}
	if !strings.Contains(h.logged.String(), "the secret reason") {
		t.Errorf("the log does not have the cause: %s", h.logged)
	}
}

func TestALongAnswerHasALength(t *testing.T) {
	long := strings.Repeat("<x>", 3000)
	h := open(t, func(rs *Routes) {
		rs.Handle("GET", "/long", "", func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, 200, long) })
	})
	res, body := h.do(t, "GET", "/long", nil)
	if res.ContentLength != int64(len(body)) || len(res.TransferEncoding) != 0 || string(body) != strconv.Quote(long)+"\n" {
		t.Errorf("length %d of %d, encoding %v", res.ContentLength, len(body), res.TransferEncoding)
	}
}

func TestOperationsAreCountedUnderTheirNamesAndPassTheLinter(t *testing.T) {
	var metrics *Metrics
	h := open(t, func(rs *Routes) {
		metrics = rs.metrics
		rs.Handle("GET", "/ok", "get_ok", func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, 200, 1) })
		rs.Handle("GET", "/bad", "get_bad", func(http.ResponseWriter, *http.Request) error { return Errorf(400, "bad", "bad") })
		rs.Handle("GET", "/two", "get_plain", func(w http.ResponseWriter, _ *http.Request) error {
			metrics.Name(w, "get_zip")
			return WriteJSON(w, 200, 2)
		})
	})
	for _, path := range []string{"/ok", "/ok", "/bad", "/two", "/nowhere"} {
		h.do(t, "GET", path, nil)
	}
	metrics.Observe("drop_ingest", 0, true)
	h.Close() // a count comes after the answer
	var text strings.Builder
	families, err := h.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) != 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if m.Counter != nil && *m.Counter.Value > 0 {
				for _, l := range m.Label {
					text.WriteString(*l.Value + " ")
				}
				text.WriteString(strconv.FormatFloat(*m.Counter.Value, 'f', -1, 64) + "\n")
			}
		}
	}
	want := "drop_ingest error 1\nget_bad error 1\nget_ok success 2\nget_zip success 1\n"
	if text.String() != want {
		t.Errorf("counted\n%swant\n%s", text.String(), want)
	}
	if n := testutil.CollectAndCount(metrics.duration); n == 0 {
		t.Error("no durations")
	}
}

func TestNothingSecretOfARequestIsLogged(t *testing.T) {
	h := open(t, func(rs *Routes) {
		rs.Handle("GET", "/bad", "", func(w http.ResponseWriter, _ *http.Request) error {
			Note(w, slog.String("device", "a1b2c3d4"))
			return errors.New("broken")
		})
	})
	h.do(t, "GET", "/bad?client_secret=hush", http.Header{"Authorization": {"Bearer hush"}, "Cookie": {"hush"}})
	if strings.Contains(h.logged.String(), "hush") || !strings.Contains(h.logged.String(), `"device":"a1b2c3d4"`) {
		t.Errorf("log: %s", h.logged)
	}
}

func TestReadJSONSaysWhatIsWrong(t *testing.T) {
	h := open(t, func(rs *Routes) {
		rs.Handle("POST", "/{$}", "", func(w http.ResponseWriter, r *http.Request) error {
			var v struct {
				Name string `json:"name"`
			}
			if err := ReadJSON(w, r, 20, &v); err != nil {
				return err
			}
			return WriteJSON(w, 200, v)
		})
	})
	for body, want := range map[string]string{
		`{"name":"x"}`: "200 ", ``: "400 body_missing", `{"nam":"x"}`: "400 body_not_json", `{} {}`: "400 body_not_json",
		`{"name":"` + strings.Repeat("x", 20): "413 body_too_large", `{"name":`: "400 body_not_json",
	} {
		res, err := h.Client().Post(h.URL, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(res.Body)
		res.Body.Close()
		code := regexp.MustCompile(`"code":"(\w+)"`).FindSubmatch(answer)
		got := strconv.Itoa(res.StatusCode) + " "
		if code != nil {
			got += string(code[1])
		}
		if got != want {
			t.Errorf("%q: %s, want %s (%s)", body, got, want, answer)
		}
	}
}

func TestARouteRegisteredTwiceIsAMistakeOfOurs(t *testing.T) {
	rs := NewRoutes(slog.Default(), NewMetrics(prometheus.NewRegistry()))
	rs.Handle("GET", "/x", "", nil)
	rs.Handle("HEAD", "/x", "get_x", nil)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		if l := rs.List(); len(l) != 2 || l[1].Method != http.MethodHead || l[1].Pattern != "/x" || l[1].Operation != "get_x" {
			t.Errorf("list %v", l)
		}
	}()
	rs.Handle("GET", "/x", "", nil)
}
