package access

import (
	"cmp"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/slipway-gateway/slipway/pkg/auth"
)

const (
	mostSkew    = 2 * time.Minute // between the issuer's clock and the gateway's
	mostName    = 100             // characters of a person's name
	mostSubject = 255             // bytes of the issuer's name for a person, as OpenID Connect has it
	mostValues  = 1000            // of the claim are looked at: a person is in no more groups
)

// claims are what an ID token says. Who has verified it may read them.
type claims map[string]any

func (c claims) text(name string) string {
	s, _ := c[name].(string)
	return s
}

// values are those of a claim: a text, or the texts of a list. Dots lead into objects where no claim has the whole name.
func (c claims) values(name string) []string {
	v, there := c[name]
	for inner, rest := map[string]any(c), name; !there; {
		first, further, dotted := strings.Cut(rest, ".")
		if !dotted {
			v = inner[first]
			break
		}
		next, ok := inner[first].(map[string]any)
		if !ok {
			return nil
		}
		inner, rest = next, further
	}
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, one := range v[:min(len(v), mostValues)] {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

// verified is the person of an ID token, with the values of the claim. The role is "" where none of them gives one.
func (x *Issuer) verified(token *oidc.IDToken, of *oauth2.Token, nonce string) (auth.Person, []string, error) {
	var said claims
	if err := token.Claims(&said); err != nil {
		return auth.Person{}, nil, err
	}
	var p auth.Person
	switch now := x.options.Now(); {
	case !same(token.Nonce, nonce):
		return p, nil, errors.New("its nonce is not the one of this sign-in")
	case said["azp"] != nil && said.text("azp") != x.options.ClientID:
		return p, nil, errors.New("it was made for another client: azp")
	case token.IssuedAt.After(now.Add(mostSkew)):
		return p, nil, &clockError{token.IssuedAt}
	case token.AccessTokenHash != "" && token.VerifyAccessToken(of.AccessToken) != nil:
		return p, nil, errors.New("its at_hash is of another access token")
	case !isSubject(token.Subject):
		return p, nil, errors.New("its sub is not 1 to 255 characters of ASCII")
	}
	values := said.values(x.options.Claim)
	if verified := said["email_verified"]; x.options.Claim == "email" && verified != true && verified != "true" {
		values = nil // at some issuers people write there what they like
	}
	p = auth.Person{Issuer: token.Issuer, Subject: token.Subject, Role: x.roleOf(values)}
	p.Name = cmp.Or(readable(said.text("name")), readable(said.text("preferred_username")), readable(said.text("email")), token.Subject)
	return p, values, nil
}

// clockError is a token of a time that the gateway's clock does not have.
type clockError struct{ at time.Time }

func (e *clockError) Error() string { return "its time is " + e.at.UTC().Format(time.RFC3339) }

func isSubject(s string) bool {
	return s != "" && len(s) <= mostSubject && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}

// readable is a foreign text in one line, without what does not show or turns the direction of what follows.
func readable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r) || r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, cut(s, 4*mostName))
	return cut(strings.Join(strings.Fields(s), " "), mostName)
}

// cut is the first characters of a text.
func cut(s string, most int) string {
	n := 0
	for i := range s {
		if n == most {
			return s[:i] + "…"
		}
		n++
	}
	return s
}
