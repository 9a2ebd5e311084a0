package gateway

import (
	"fmt"
	"os"
	"time"

	"github.com/slipway-gateway/slipway/pkg/access"
	"github.com/slipway-gateway/slipway/pkg/auth"
)

// openIssuer makes the issuer that people may sign in at, where the settings name one. Nobody is asked yet.
func (g *Gateway) openIssuer() error {
	o := g.cfg.OIDC
	if o.Issuer == "" {
		return nil
	}
	options := access.IssuerOptions{
		Issuer: o.Issuer, ClientID: o.ClientID, Scopes: o.Scopes, Claim: o.Claim,
		Values: map[auth.Role][]string{auth.Viewer: o.Viewers, auth.Operator: o.Operators, auth.Admin: o.Admins}, Logger: g.logger, Now: time.Now,
	}
	var err error
	if o.ClientSecretFile != "" {
		if options.ClientSecret, err = access.ReadSecret(o.ClientSecretFile); err != nil {
			return fmt.Errorf("oidc.client_secret_file: %w", err)
		}
	}
	if o.CA != "" {
		if options.CA, err = os.ReadFile(o.CA); err != nil {
			return fmt.Errorf("oidc.ca: %w", err)
		}
	}
	g.people, err = access.NewIssuer(options)
	return err
}
