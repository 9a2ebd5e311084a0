package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// The headers of a delivery, as Standard Webhooks names them. The signature is "v1," and the Base64 of HMAC-SHA256 over
// id "." timestamp "." body; there may be several, separated by blanks, of which one has to be right.
const (
	headerID        = "webhook-id"        // the same for each try of the same event: who has seen it passes it over
	headerTimestamp = "webhook-timestamp" // seconds since 1970, of this try: a receiver refuses old ones, so that nobody plays one again
	headerSignature = "webhook-signature"
)

// A secret is "whsec_" and Base64 of its bytes.
const (
	secretPrefix = "whsec_"
	secretBytes  = 32
	leastSecret  = 24 // as Standard Webhooks asks for
	mostSecret   = 64
)

func newSecret() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // it never fails
	return secretPrefix + base64.StdEncoding.EncodeToString(b)
}

// parseSecret is the key of a secret.
func parseSecret(secret string) ([]byte, error) {
	text, prefixed := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if !prefixed || err != nil || strings.ContainsAny(text, "\r\n") || len(key) < leastSecret || len(key) > mostSecret {
		return nil, fleet.Refused("secret: want %s and the Base64 of %d to %d bytes, or none for one that is made here", secretPrefix, leastSecret, mostSecret) // it is not repeated
	}
	return key, nil
}

// signature signs a delivery.
func signature(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
