package page

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

const reportsPath = "/policy-reports"

// PolicyReport is what a browser tells of something that the page's policy stopped: a script in what the page shows, or an
// extension of the browser's own. Anybody may send one, so it is believed by nobody and bounded.
type PolicyReport struct {
	Page      string // the path of its address
	Directive string // of the policy
	Blocked   string // "inline", or where it would have come from
	Sample    string // its first characters
}

const (
	mostReportBody = 16 << 10
	mostReportText = 200 // bytes of each member
	reportsAMinute = 10
)

// reportPace bounds how many are told of.
type reportPace struct {
	once  sync.Once
	paced *rate.Limiter
}

func (p *Page) registerReports(rs *endpoint.Routes) {
	p.pace.once.Do(func() { p.pace.paced = rate.NewLimiter(rate.Limit(reportsAMinute)/60, reportsAMinute) })
	rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: reportsPath}, nil, p.policyReport)
}

func (p *Page) policyReport(w http.ResponseWriter, r *http.Request) error {
	access.Private(w)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostReportBody))
	if err != nil {
		return err
	}
	report, err := parseReport(body)
	if err != nil {
		return endpoint.Errorf(http.StatusBadRequest, "bad_report", "this is no report of a browser: %v", err)
	}
	if p.Reported != nil && p.pace.paced.AllowN(p.Now(), 1) {
		p.Reported(report)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// parseReport reads the body of a report-uri request: https://www.w3.org/TR/CSP3/#deprecated-serialize-violation
func parseReport(body []byte) (PolicyReport, error) {
	var in struct {
		Report *struct {
			Document  string `json:"document-uri"`
			Effective string `json:"effective-directive"`
			Violated  string `json:"violated-directive"`
			Blocked   string `json:"blocked-uri"`
			Sample    string `json:"script-sample"`
		} `json:"csp-report"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return PolicyReport{}, err
	}
	if in.Report == nil {
		return PolicyReport{}, errors.New("no csp-report")
	}
	r := PolicyReport{Page: in.Report.Document, Directive: in.Report.Effective, Blocked: in.Report.Blocked, Sample: in.Report.Sample}
	if r.Directive == "" {
		r.Directive = in.Report.Violated
	}
	if _, rest, ok := strings.Cut(r.Page, "://"); ok { // the query may name what is nobody else's matter
		_, rest, _ = strings.Cut(rest, "/")
		r.Page = "/" + rest
	}
	r.Page, _, _ = strings.Cut(r.Page, "?")
	for _, s := range []*string{&r.Page, &r.Directive, &r.Blocked, &r.Sample} {
		*s = strings.ToValidUTF8((*s)[:min(len(*s), mostReportText)], "")
	}
	return r, nil
}
