package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.yaml.in/yaml/v3"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/deviceapi"
	"github.com/slipway-gateway/slipway/pkg/endpoint"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

func TestTheDescriptionOfTheAPINamesExactlyTheRoutesThatThereAre(t *testing.T) {
	var described struct {
		Paths map[string]map[string]any
	}
	if err := yaml.Unmarshal([]byte(operator.Description()), &described); err != nil {
		t.Fatal(err)
	}
	var want []string
	for path, methods := range described.Paths {
		for method := range methods {
			want = append(want, strings.ToUpper(method)+" "+path)
		}
	}
	rs := endpoint.NewRoutes(slog.New(slog.DiscardHandler), endpoint.NewMetrics(prometheus.NewRegistry()))
	deviceapi.New(deviceapi.Options{Keys: &auth.Keys{}, Tenant: "DEFAULT"}).Register(rs)
	operator.Register(rs, operator.Options{})
	var got []string
	for _, r := range rs.List() {
		if !strings.HasPrefix(r.Pattern, "/default/") { // described with the tenant as it is set
			got = append(got, r.Method+" "+r.Pattern)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	for _, r := range rs.List() {
		if r.Query == nil || described.Paths[r.Pattern] == nil {
			continue
		}
		if described := queryOf(t, described.Paths[r.Pattern][strings.ToLower(r.Method)]); !slices.Equal(described, slices.Sorted(slices.Values(r.Query))) {
			t.Errorf("%s %s takes the query parameters %v; described are %v", r.Method, r.Pattern, r.Query, described)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("routes without a description: %v\ndescribed without a route: %v", missing(got, want), missing(want, got))
	}
}

// queryOf are the query parameters that a described operation takes.
func queryOf(t *testing.T, operation any) []string {
	t.Helper()
	text, err := yaml.Marshal(operation)
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Parameters []struct{ Name, In string }
	}
	if err := yaml.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range described.Parameters {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

func missing(from, in []string) []string {
	return slices.DeleteFunc(slices.Clone(from), func(s string) bool { return slices.Contains(in, s) })
}

func TestTheDescriptionSaysThatADeviceMayShowItsSecretAsBasic(t *testing.T) {
	type security []map[string][]string
	var described struct {
		Paths      map[string]map[string]struct{ Security security }
		Components struct {
			Schemes map[string]struct{ Scheme string } `yaml:"securitySchemes"`
		}
	}
	if err := yaml.Unmarshal([]byte(operator.Description()), &described); err != nil {
		t.Fatal(err)
	}
	if schemes := described.Components.Schemes; schemes["device"].Scheme != "bearer" || schemes["basic"].Scheme != "basic" {
		t.Errorf("schemes: %v", schemes)
	}
	asked := 0
	for path, methods := range described.Paths {
		for method, route := range methods {
			has := func(scheme string) bool {
				return slices.ContainsFunc(route.Security, func(way map[string][]string) bool { return way[scheme] != nil && len(way) == 1 })
			}
			if !has("device") && !has("basic") {
				continue
			}
			asked++
			if !has("device") || !has("basic") {
				t.Errorf("%s %s: %v", method, path, route.Security)
			}
		}
	}
	if asked < 8 {
		t.Errorf("only %d routes ask devices who they are", asked)
	}
}
