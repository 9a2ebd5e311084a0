package endpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dial opens a raw connection, for what net/http's client hides.
func (h *house) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

func readAnswer(t *testing.T, c net.Conn) (answer, string) {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, res.ContentLength, res.TransferEncoding, res.Close}, string(body)
}

// uploads has a route that refuses before it reads, and one that reads all.
func uploads(rs *Routes) {
	rs.Handle("POST", "/refuse", "", func(http.ResponseWriter, *http.Request) error { return Errorf(400, "refused", "no") })
	rs.Handle("POST", "/take", "", func(w http.ResponseWriter, r *http.Request) error {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return fmt.Errorf("take: %w", err)
		}
		return WriteJSON(w, 200, n)
	})
}

func TestARefusalComesBeforeTheBodyIsSent(t *testing.T) {
	h := open(t, uploads)
	for _, length := range []int64{1, 1000, 1 << 20, 1 << 40} {
		c := h.dial(t)
		fmt.Fprintf(c, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", length)
		if res, body := readAnswer(t, c); res.StatusCode != http.StatusBadRequest || !res.Close || !strings.Contains(body, "refused") {
			t.Errorf("length %d: %d %q", length, res.StatusCode, body)
		}
	}
}

func TestARefusalReachesAClientThatSendsEverythingFirst(t *testing.T) {
	h := open(t, uploads)
	for range 20 {
		c := h.dial(t)
		fmt.Fprintf(c, "POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 1<<20)
		block := make([]byte, 4096)
		for range 1 << 20 / len(block) {
			if _, err := c.Write(block); err != nil {
				t.Fatalf("the connection was reset while the client sent: %v", err)
			}
		}
		if res, body := readAnswer(t, c); res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "refused") {
			t.Fatalf("%d %q", res.StatusCode, body)
		}
	}
}

func TestAClientThatWaitsForContinueIsToldOnlyWhenItsBodyIsWanted(t *testing.T) {
	h := open(t, uploads)
	ask := func(path string) (net.Conn, string) {
		c := h.dial(t)
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", path)
		line := make([]byte, len("HTTP/1.1 100"))
		if _, err := io.ReadFull(c, line); err != nil {
			t.Fatal(err)
		}
		return c, string(line)
	}
	if _, line := ask("/refuse"); line != "HTTP/1.1 400" {
		t.Errorf("refused with %q", line)
	}
	c, line := ask("/take")
	if line != "HTTP/1.1 100" {
		t.Fatalf("taken with %q", line)
	}
	fmt.Fprint(c, "hello")
	rest, err := io.ReadAll(io.LimitReader(c, 40))
	if err != nil || !strings.Contains(string(rest), "HTTP/1.1 200") {
		t.Errorf("after the body: %q %v", rest, err)
	}
}

func TestABodyThatStallsOrBreaksOffIsTheClientsFault(t *testing.T) {
	h := open(t, uploads)
	c := h.dial(t)
	fmt.Fprint(c, "POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel")
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if res, body := readAnswer(t, c); res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "body_incomplete") {
		t.Errorf("broken off: %d %s", res.StatusCode, body)
	}

	h.routes.now = func() time.Time { return time.Now().Add(100*time.Millisecond - bodyPatience) }
	c = h.dial(t)
	fmt.Fprint(c, "POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel")
	if res, body := readAnswer(t, c); res.StatusCode != http.StatusRequestTimeout || !strings.Contains(body, "body_too_slow") {
		t.Errorf("stalled: %d %s", res.StatusCode, body)
	}
	if strings.Contains(h.logged.String(), `"level":"ERROR"`) {
		t.Errorf("logged as ours: %s", h.logged)
	}
}

func TestWorkAfterTheBodyTakesAsLongAsItTakes(t *testing.T) {
	h := open(t, func(rs *Routes) {
		rs.now = func() time.Time { return time.Now().Add(50*time.Millisecond - bodyPatience) }
		rs.Handle("POST", "/work", "", func(w http.ResponseWriter, r *http.Request) error {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return err
			}
			time.Sleep(150 * time.Millisecond)
			return r.Context().Err()
		})
	})
	c := h.dial(t)
	fmt.Fprint(c, "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	if res, body := readAnswer(t, c); res.StatusCode != http.StatusOK {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestHTTP10GetsALengthAndAnEnd(t *testing.T) {
	h := open(t, func(rs *Routes) {
		uploads(rs)
		shelf(t, []byte(strings.Repeat("x", 5000)))(rs)
	})
	for request, want := range map[string]string{
		"GET /file HTTP/1.0\r\n\r\n":                          "200 5000",
		"GET /file HTTP/1.0\r\nRange: bytes=10-19\r\n\r\n":    "206 10",
		"HEAD /file HTTP/1.0\r\n\r\n":                         "200 5000",
		"POST /take HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc": "200 2",
		"GET /nowhere HTTP/1.0\r\n\r\n":                       "404 115",
	} {
		c := h.dial(t)
		fmt.Fprint(c, request)
		answer, err := io.ReadAll(c) // to the end: the server closes
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(answer), "\r\n\r\n")
		status, length := strings.Fields(head)[1], ""
		for line := range strings.SplitSeq(head, "\r\n") {
			if value, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				length = value
			}
		}
		if status+" "+length != want || strings.Contains(head, "chunked") {
			t.Errorf("%q: %s %s, want %s", request, status, length, want)
		}
	}
}

func TestHalfAnAnswerIsNotTakenForAWholeOne(t *testing.T) {
	h := open(t, func(rs *Routes) {
		rs.Handle("GET", "/half", "", func(w http.ResponseWriter, _ *http.Request) error {
			if _, err := io.WriteString(w, strings.Repeat("x", 10000)); err != nil {
				return err
			}
			return errors.New("the disk broke")
		})
	})
	res, err := h.Client().Get(h.URL + "/half")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("the client saw a whole answer")
	}
}
