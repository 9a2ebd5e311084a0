package endpoint

import (
	"net/http"
	"strings"
	"testing"
)

func TestAQueryParameterThatARouteDoesNotKnowIsRefusedByName(t *testing.T) {
	fine := func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, http.StatusOK, "fine") }
	h := open(t, func(rs *Routes) {
		rs.Register(Route{Method: "GET", Pattern: "/list", Query: Query{"state", "model", "limit"}}, nil, fine)
		rs.Register(Route{Method: "GET", Pattern: "/none", Query: Query{}}, nil, fine)
		rs.Register(Route{Method: "GET", Pattern: "/guarded", Query: Query{}}, func(http.ResponseWriter, *http.Request) error {
			return Errorf(http.StatusUnauthorized, "unauthorized", "no token")
		}, fine)
		rs.Handle("GET", "/device", "", fine)
	})
	for _, test := range []struct {
		path   string
		status int
		says   []string
	}{
		{"/list", 200, nil},
		{"/list?state=open&limit=5&model=", 200, nil},
		{"/list?statee=open", 400, []string{`"statee\"`, "the nearest is state", "state, model, limit"}},
		{"/list?state=open&Limit=5", 400, []string{"Limit", "the nearest is limit"}},
		{"/list?state=open&state=closed", 400, []string{"state is given 2 times"}},
		{"/list?" + strings.Repeat("x", 5000), 400, []string{strings.Repeat("x", 64)}},
		{"/list?%zz=1", 400, []string{"cannot be read"}},
		{"/list?a;b", 400, []string{"cannot be read"}},
		{"/none?x=1", 400, []string{"x", "takes none"}},
		{"/guarded?x=1", 401, []string{"no token"}},
		{"/device?x=1&%zz", 200, nil},
	} {
		res, body := h.do(t, "GET", test.path, nil)
		if res.StatusCode != test.status {
			t.Errorf("%.80s: %d %s, want %d", test.path, res.StatusCode, body, test.status)
		}
		for _, says := range test.says {
			if !strings.Contains(string(body), says) {
				t.Errorf("%.80s: %s does not say %q", test.path, body, says)
			}
		}
	}
}
