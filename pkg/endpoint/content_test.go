package endpoint

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// shelf serves one file at /file.
func shelf(t *testing.T, content []byte) func(*Routes) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	serve := func(w http.ResponseWriter, r *http.Request) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("ETag", `"one"`)
		return ServeContent(w, r, time.Unix(1e9, 0), int64(len(content)), f)
	}
	return func(rs *Routes) {
		rs.Handle("GET", "/file", "", serve)
		rs.Handle("HEAD", "/file", "", serve)
	}
}

func TestRangesAreAnsweredAsDevicesNeedThem(t *testing.T) {
	content := []byte(strings.Repeat("0123456789", 1000))
	size := strconv.Itoa(len(content))
	h := open(t, shelf(t, content))
	for _, c := range []struct {
		header   http.Header
		status   int
		from, to int
		ranged   string
	}{
		{http.Header{}, 200, 0, 10000, ""},
		{http.Header{"Range": {"bytes=0-"}}, 206, 0, 10000, "bytes 0-9999/10000"},
		{http.Header{"Range": {"bytes=0-0"}}, 206, 0, 1, "bytes 0-0/10000"},
		{http.Header{"Range": {"bytes=4096-8191"}}, 206, 4096, 8192, "bytes 4096-8191/10000"},
		{http.Header{"Range": {"bytes=9000-" + size}}, 206, 9000, 10000, "bytes 9000-9999/10000"},
		{http.Header{"Range": {"bytes=9999-99999999"}}, 206, 9999, 10000, "bytes 9999-9999/10000"},
		{http.Header{"Range": {"bytes=" + size + "-"}}, 416, 0, 0, "bytes */10000"},
		{http.Header{"Range": {"bytes=" + size + "-" + size}}, 416, 0, 0, "bytes */10000"},
		{http.Header{"Range": {"bytes=nonsense"}}, 416, 0, 0, "bytes */10000"},
		{http.Header{"If-None-Match": {`"one"`}}, 304, 0, 0, ""},
		{http.Header{"If-None-Match": {`"two"`}}, 200, 0, 10000, ""},
		{http.Header{"Range": {"bytes=5000-"}, "If-Range": {`"one"`}}, 206, 5000, 10000, "bytes 5000-9999/10000"},
		{http.Header{"Range": {"bytes=5000-"}, "If-Range": {`"two"`}}, 200, 0, 10000, ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			res, body := h.do(t, method, "/file", c.header.Clone())
			if res.StatusCode != c.status || res.Header.Get("Content-Range") != c.ranged {
				t.Errorf("%s %v: %d, Content-Range %q", method, c.header, res.StatusCode, res.Header.Get("Content-Range"))
			}
			switch length := res.Header.Get("Content-Length"); c.status {
			case 304:
				if length != "" || len(body) != 0 || res.Header.Get("Content-Type") != "" {
					t.Errorf("%s %v: a 304 with %v and %q", method, c.header, res.Header, body)
				}
			case 416:
				if length == "" || res.Header.Get("Content-Type") != "application/json" || res.Header.Get("ETag") != "" {
					t.Errorf("%s %v: %v", method, c.header, res.Header)
				}
				if method == "GET" && !bytes.Contains(body, []byte(`"code":"range_not_satisfiable"`)) {
					t.Errorf("%s %v: %s", method, c.header, body)
				}
			default:
				if length != strconv.Itoa(c.to-c.from) || method == "GET" && !bytes.Equal(body, content[c.from:c.to]) {
					t.Errorf("%s %v: length %s, %d bytes", method, c.header, length, len(body))
				}
			}
		}
	}
}

// spied is a listener whose connections tell what they are asked to read from.
type spied struct {
	net.Listener
	sources chan io.Reader
}

type spiedConn struct {
	*net.TCPConn
	sources chan io.Reader
}

func (l spied) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return spiedConn{c.(*net.TCPConn), l.sources}, nil
}

func (c spiedConn) ReadFrom(src io.Reader) (int64, error) {
	c.sources <- src
	return c.TCPConn.ReadFrom(src)
}

func TestAFileReachesTheConnectionAsAFile(t *testing.T) {
	rs := NewRoutes(slog.New(slog.DiscardHandler), NewMetrics(prometheus.NewRegistry()))
	content := bytes.Repeat([]byte("firmware"), 3<<15)
	shelf(t, content)(rs)
	sources := make(chan io.Reader, 16)
	srv := httptest.NewUnstartedServer(rs)
	srv.Listener = spied{srv.Listener, sources}
	srv.Start()
	defer srv.Close()
	for _, ranged := range []string{"", "bytes=1000-"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/file", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", ranged)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.HasSuffix(content, got) || len(got) < len(content)-1000 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if len(sources) == 0 {
			t.Fatal("the connection was never asked to read from a file")
		}
		for range len(sources) {
			limited, ok := (<-sources).(*io.LimitedReader)
			if !ok {
				t.Fatal("the connection got no io.LimitedReader, which is all that it sees through")
			}
			if _, ok := limited.R.(*os.File); !ok {
				t.Errorf("the connection got a %T, not the file", limited.R)
			}
		}
	}
}

func TestASourceWithoutALimitGoesOutWhole(t *testing.T) {
	content := strings.Repeat("x", 1<<19)
	h := open(t, func(rs *Routes) {
		rs.Handle("GET", "/copy", "", func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			_, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(content)})
			return err
		})
	})
	if _, body := h.do(t, "GET", "/copy", nil); string(body) != content {
		t.Errorf("%d bytes of %d", len(body), len(content))
	}
}
