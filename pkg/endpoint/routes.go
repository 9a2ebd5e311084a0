package endpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Route is one registered way in.
type Route struct {
	Method    string
	Pattern   string // as net/http.ServeMux has it, without method and host
	Operation string // its name in the metrics, "" when it is not counted
	Query     Query  // the query parameters that it knows; nil where it does not look at them
}

// Routes is an http.Handler over what was registered. Register everything before the first request.
//
// It takes methods out of ServeMux's hands: there GET also means HEAD, 405 is text, and behind a catch-all becomes 404.
type Routes struct {
	logger  *slog.Logger
	metrics *Metrics
	mux     *http.ServeMux
	paths   map[string]methods // by pattern
	list    []Route
	failed  ShowFailure // nil: every failure is JSON
	now     func() time.Time
}

// ShowFailure may answer a failure in another form than JSON, such as a page for a browser. It says false where it has not.
type ShowFailure func(w http.ResponseWriter, r *http.Request, e *Error, correlation string) (bool, error)

// ShowFailures has failures shown. Call it before the first request.
func (rs *Routes) ShowFailures(show ShowFailure) { rs.failed = show }

type methods map[string]*entry

type entry struct {
	handle Handler
	series *series
}

// NewRoutes has no routes and answers everything with 404.
func NewRoutes(logger *slog.Logger, metrics *Metrics) *Routes {
	rs := &Routes{logger: logger, metrics: metrics, mux: http.NewServeMux(), paths: map[string]methods{}, now: time.Now}
	rs.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		rs.run(w, r, &entry{handle: func(http.ResponseWriter, *http.Request) error {
			return Errorf(http.StatusNotFound, "unknown_path", "there is nothing at this address")
		}})
	})
	return rs
}

// Handle registers a handler. operation is its name in the metrics, "" for none. HEAD is registered like any other
// method. It panics where a route is registered twice.
func (rs *Routes) Handle(method, pattern, operation string, h Handler) {
	rs.Register(Route{Method: method, Pattern: pattern, Operation: operation}, nil, h)
}

// Guard is what a caller has to pass before anything is said about the request.
type Guard func(http.ResponseWriter, *http.Request) error

// Register registers a route whose guard, if any, comes first, then the check of its query, then the handler.
func (rs *Routes) Register(route Route, guard Guard, h Handler) {
	method, pattern, operation := route.Method, route.Pattern, route.Operation
	e := &entry{handle: func(w http.ResponseWriter, r *http.Request) error {
		if guard != nil {
			if err := guard(w, r); err != nil {
				return err
			}
		}
		if err := route.Query.check(r); err != nil {
			return err
		}
		return h(w, r)
	}}
	if operation != "" {
		e.series = rs.metrics.series(operation)
	}
	known, ok := rs.paths[pattern]
	if !ok {
		known = methods{}
		rs.paths[pattern] = known
		rs.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { rs.run(w, r, known.choose(r.Method)) })
	}
	if known[method] != nil {
		panic(fmt.Sprintf("endpoint: %s %s is registered twice", method, pattern))
	}
	known[method] = e
	rs.list = append(rs.list, route)
}

// List returns what is registered, in the order of registration.
func (rs *Routes) List() []Route { return slices.Clone(rs.list) }

func (m methods) choose(method string) *entry {
	if e := m[method]; e != nil {
		return e
	}
	return &entry{handle: func(http.ResponseWriter, *http.Request) error {
		allowed := make([]string, 0, len(m))
		for name := range m {
			allowed = append(allowed, name)
		}
		slices.Sort(allowed)
		e := Errorf(http.StatusMethodNotAllowed, "method_not_allowed", "%s is not allowed at this address", method)
		e.Header = http.Header{"Allow": {strings.Join(allowed, ", ")}}
		return e
	}}
}

func (rs *Routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	body := &requestBody{ReadCloser: r.Body, conn: control, now: rs.now}
	if r.ContentLength != 0 {
		body.extend(bodyPatience) // also for what net/http reads of a body that no handler looks at
	}
	r.Body = body
	joinSlashes(r)
	client, _ := r.Context().Value(connKey{}).(*conn) // nil of a Unix socket
	rs.mux.ServeHTTP(&response{ResponseWriter: w, conn: control, body: body, client: client}, r)
}

// joinSlashes makes one slash of several. ServeMux would redirect, which devices may not follow; they are made by a base
// address that ends with a slash before a path that begins with one.
func joinSlashes(r *http.Request) {
	if !strings.Contains(r.URL.Path, "//") {
		return
	}
	u := &url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	for strings.Contains(u.Path, "//") {
		u.Path = strings.ReplaceAll(u.Path, "//", "/")
	}
	r.URL = u
}

// Witness sees, where a test sets it before the first request, each answer that is JSON. It is nil in the product.
var Witness func(r *http.Request, status int, header http.Header, body []byte)

// run is the one place that recovers, counts, logs and answers with errors.
func (rs *Routes) run(hw http.ResponseWriter, r *http.Request, e *entry) {
	w := hw.(*response) // ServeHTTP made it, and ServeMux hands it on
	w.operation = e.series
	started := rs.now()
	err := rs.call(w, r, e.handle)
	if err != nil {
		rs.fail(w, r, err)
	}
	if Witness != nil && isJSON(w.Header()) {
		Witness(r, w.status, w.Header(), w.seen)
	}
	w.operation.observe(rs.now().Sub(started), err != nil || w.status >= http.StatusBadRequest)
	if err != nil && w.status != 0 && w.status < http.StatusBadRequest {
		panic(http.ErrAbortHandler) // half an answer is out: the client must not take it for a whole one
	}
}

func isJSON(h http.Header) bool { return strings.HasPrefix(h.Get("Content-Type"), "application/json") }

func (rs *Routes) call(w *response, r *http.Request, h Handler) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it in the same way
			panic(p)
		}
		err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}()
	return h(w, r)
}

func (rs *Routes) fail(w *response, r *http.Request, err error) {
	correlation := newCorrelation()
	shown := visible(err, r, w)
	logFailure(r.Context(), rs.logger, w, r, shown, correlation)
	if w.status != 0 {
		return
	}
	if err := answerError(w, r, shown, correlation, rs.failed); err != nil && !errors.Is(err, http.ErrHandlerTimeout) {
		rs.logger.Debug("answer not written", "error", err, "correlation_id", correlation)
	}
}
