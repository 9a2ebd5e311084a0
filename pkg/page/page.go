// Package page is the page that people work with: HTML made on the server, over the same records as the JSON API. Without
// JavaScript every view reads and every act works as a form; with it times are the reader's, and what is shown stays true.
//
// It needs nothing from anywhere else, as a factory floor has no internet: the script libraries are in the binary, each with
// its version, its SHA-256 and its licence ([Libraries]). Nothing that it shows is trusted: html/template escapes it, and the
// policy lets no script run that is not a file of ours.
//
// # How a view is added
//
// A view is a file here, a template beside it, and a line in two tables:
//
//   - NAME.go has the view's struct, with what the template shows and nothing else; its loader, a method
//     func (p *Page) NAME(v *visit) (shown, error), which reads the address, asks the records, and returns the title and the
//     struct; and its acts, each a method func (p *Page) NAME(v *visit) (done, error) for one form.
//   - templates/NAME.html defines "main". There . is the frame: the struct is .View, and {{if .May "operator"}} stands around
//     whatever acts. A number leads to its list, a name stands beside its key, a time is {{when .At}} or {{age .At}}, and a
//     table is class="cards" with data-label in each td: on a phone its rows are cards.
//   - views in views.go gets the view, with its address, the query parameters that it knows, and its place in the
//     navigation; acts gets its forms, each with the role that it needs. An act's method and address also go into
//     event.Table (or event.Silent), as every changing route does.
//   - shows in browser_test.go gets an address of it (make test-page). A test fails while a view has none: it looks at each one in Chromium, at
//     1280 and 360 pixels, light and dark.
//
// A section with an id and data-live="crash device" is made again when something of these nouns has changed, and after
// half a minute. Nouns are those of events, and "sighting" of what devices are seen to do. What a person has begun to fill in
// stays. With data-hold it is a list, a table whose rows each lead somewhere: rows are mended where they are, and to who
// reads in it or works in it new ones are said, "3 new", and come when asked for. A view that shows something else to each person
// is Personal in views.go: the others are made once for all who have them open.
//
// Records are asked by the small interfaces in records.go. One that a view needs besides goes into the view's own file, and
// into [Options].
package page

import (
	"net/http"
	"time"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
)

// Options are what stands behind the page.
type Options struct {
	Access    *access.Access
	Records   records
	Sightings sightings
	Offers    offers
	Rollouts  rollouts
	Rolling   rolling
	Troubles  troubles
	Members   members
	Changes   changes
	Roster    roster
	Models    modelChanges
	Stock     stock
	Issuer    issuer
	Operators operators
	Dumps     dumps
	Drops     drops
	Crashes   crashes
	Events    events
	Webhooks  webhooks
	Hints     hints
	Gateway   gateway
	Reported  func(PolicyReport) // a browser has stopped something; called a few times a minute at most
	Now       func() time.Time
}

// Page has the views.
type Page struct {
	Options
	pace    reportPace
	renders renders
	counted counted
	decoded decoded
}

// Register adds the page's routes, and has failures answered as pages to browsers.
func Register(rs *endpoint.Routes, o Options) {
	p := &Page{Options: o}
	for _, one := range views(p) {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			rs.Register(endpoint.Route{Method: method, Pattern: one.Pattern, Query: append(endpoint.Query{}, one.Query...)}, nil, p.show(one))
		}
	}
	for _, one := range acts(p) {
		rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: one.Pattern, Query: endpoint.Query{}}, p.Access.Need(one.Need), p.do(one))
	}
	for _, one := range uploads(p) {
		rs.Register(endpoint.Route{Method: http.MethodPost, Pattern: one.Pattern, Query: endpoint.Query{}}, p.Access.Need(one.Need), p.take(one))
	}
	p.registerLive(rs)
	rs.Register(endpoint.Route{Method: http.MethodGet, Pattern: "/devices.csv", Query: append(endpoint.Query{}, deviceQuery...)}, p.Access.Need(auth.Viewer), p.devicesCSV)
	p.registerSignIn(rs)
	p.registerStatic(rs)
	p.registerReports(rs)
	rs.ShowFailures(p.failed)
}
