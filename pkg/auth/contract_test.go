package auth_test

import (
	"testing"

	"github.com/slipway-gateway/slipway/pkg/auth"
	"github.com/slipway-gateway/slipway/testdata/contract"
)

func TestTheStoreInMemoryKeepsTheCatalogsPromises(t *testing.T) {
	contract.Secrets(t, func(*testing.T) contract.SecretStore { return auth.NewShortStore() })
}
