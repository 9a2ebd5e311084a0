package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/pkg/operator"
)

// TestEveryRouteAsksForTheRoleThatItsDescriptionNames goes through the whole description: nobody gets in without a
// token, and no role gets further than it says.
func TestEveryRouteAsksForTheRoleThatItsDescriptionNames(t *testing.T) {
	var described struct {
		Paths map[string]map[string]struct {
			Security []map[string][]string
		}
	}
	if err := yaml.Unmarshal([]byte(operator.Description()), &described); err != nil {
		t.Fatal(err)
	}
	g := startGateway(t)
	tokens := map[auth.Role]string{}
	for _, role := range auth.Roles {
		tokens[role] = g.operatorToken(string(role))
	}
	// Nothing of these names exists, so that whoever is let in changes nothing.
	names := strings.NewReplacer("{code}", "none", "{key}", "zzzzzzzz", "{version}", "9", "{number}", "9", "{name}", "none", "{fingerprint}", "none", "{id}", "none")
	changesTheGateway := []string{"POST /api/keys/rotate", "POST /api/clock/accept", "POST /api/catalog/rebuild", "POST /api/tokens"}
	asked := 0
	for path, methods := range described.Paths {
		for method, route := range methods {
			method = strings.ToUpper(method)
			address := names.Replace(path)
			if route.Security == nil {
				t.Errorf("%s %s: the description does not say who may call it", method, path)
			}
			if len(route.Security) == 0 { // public; for a token devices show their secret in the form
				if a := g.ask(method, address, "", nil); a.StatusCode == http.StatusForbidden || a.StatusCode == http.StatusUnauthorized && path != "/api/oauth/token" {
					t.Errorf("%s %s, which is public: %s", method, path, a.Status)
				}
				continue
			}
			asked++
			if a := g.ask(method, address, "", nil); a.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s %s without a token: %s", method, path, a.Status)
			}
			var need []string // one of them is enough
			for _, way := range route.Security {
				need = append(need, way["operator"]...)
			}
			for _, role := range auth.Roles {
				may := slices.ContainsFunc(need, func(one string) bool { return role.May(auth.Role(one)) })
				if may && slices.Contains(changesTheGateway, method+" "+path) {
					continue
				}
				a := g.ask(method, address, tokens[role], nil)
				refused := a.StatusCode == http.StatusForbidden
				if len(need) == 0 { // the device API knows no operators
					refused = a.StatusCode != http.StatusUnauthorized
				} else {
					refused = refused == may || a.StatusCode == http.StatusUnauthorized
				}
				if refused {
					t.Errorf("%s %s as %s: %s", method, path, role, a.Status)
				}
			}
		}
	}
	if asked < 40 {
		t.Errorf("only %d routes ask for a token", asked)
	}
}
