package operator

import (
	"fmt"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// Bytes of a client secret that a device brings along. It is stored as a fast hash, which is right for secrets that are
// drawn: whoever reads a catalog finds by trying what people think up. 16 random letters and digits are out of reach, 20 are
// so for hex digits and words, too.
const (
	leastSecret = 16
	goodSecret  = 20
	mostSecret  = 256
)

// checkSecret refuses what anyone could find out, and warns of what is short.
func checkSecret(secret string) (warning string, err error) {
	switch n := len(secret); {
	case n < leastSecret || n > mostSecret:
		return "", fleet.Refused("client secret of %d bytes: want %d to %d; without one the gateway makes one", n, leastSecret, mostSecret)
	case n < goodSecret:
		return fmt.Sprintf("client secret of %d bytes: it is short, %d or more are better", n, goodSecret), nil
	}
	return "", nil
}
