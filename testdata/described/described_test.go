package described

import (
	"strings"
	"testing"
)

func TestAnAnswerThatIsNotDescribedIsSeen(t *testing.T) {
	const failed = `{"error":"no","code":"unknown","details":{},"correlationId":"c1"}`
	for _, test := range []struct {
		method, pattern string
		status          int
		body            string
		want            string // "": it is as described
	}{
		{"GET", "/api/health", 200, `{"status":"ok","trouble":[]}`, ""},
		{"GET", "/api/health", 200, `{"status":"ok","trouble":null}`, "trouble"},
		{"GET", "/api/health", 200, `{"status":"ok"}`, "trouble"},
		{"GET", "/api/health", 200, `{"status":"ok","trouble":[],"more":1}`, "more"},
		{"GET", "/api/health", 418, `{}`, "the status is not described"},
		{"GET", "/api/health", 503, `{"status":"recovering","trouble":[]}`, ""},
		{"GET", "/api/devices/{key}", 507, failed, ""},
		{"GET", "/api/devices/{key}", 409, failed, "the status is not described"},
		{"GET", "/api/devices/{key}", 404, failed, ""},
		{"GET", "/api/devices/{key}", 404, `{"error":"no"}`, "code"},
		{"GET", "/api/nothing", 200, `{}`, "the operation is not described"},
		{"GET", "/", 404, failed, ""},
		{"TRACE", "/api/health", 405, failed, ""},
		{"HEAD", "/api/iot/firmware", 404, "", ""},
	} {
		err := Check(test.method, test.pattern, test.status, []byte(test.body))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %s %d %s: %v, want %q", test.method, test.pattern, test.status, test.body, err, test.want)
		}
	}
}
