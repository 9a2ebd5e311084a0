package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// message is what is sent: an event as it is stored, or what takes the place of one.
type message struct {
	id   string
	body []byte
}

// tried is what became of a request.
type tried struct {
	fleet.WebhookTried
	later time.Duration // that the receiver asks to wait
}

// send makes one request. A status of 2xx is the acknowledgement, whatever becomes of the rest of the answer.
func (c *Courier) send(ctx context.Context, client *http.Client, w fleet.Webhook, key []byte, m message) (t tried) {
	began := time.Now() // took: a clock that is moved meanwhile does not count
	defer func() { t.Millis = time.Since(began).Milliseconds() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(m.body))
	if err != nil {
		t.Failure = "the address cannot be called"
		return t
	}
	now := c.options.Now()
	req.Header = http.Header{"Content-Type": {"application/json"}, "User-Agent": {c.options.Agent}}
	req.Header.Set(headerID, m.id)
	req.Header.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(headerSignature, signature(key, m.id, now, m.body))
	resp, err := client.Do(req)
	if err != nil {
		t.Failure = c.reason(err)
		return t
	}
	defer resp.Body.Close()
	answer := io.LimitReader(resp.Body, mostBody)
	t.Status = resp.StatusCode
	if t.Delivered = resp.StatusCode/100 == 2; t.Delivered {
		_, _ = io.Copy(io.Discard, answer) // so that the connection is used again
		return t
	}
	t.later = retryAfter(resp.Header.Get("Retry-After"), now)
	t.Failure = fmt.Sprintf("it answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode)) // not its own word for it
	switch resp.StatusCode / 100 {
	case 1: // switching protocols: the body is the connection, which no deadline ends
		return t
	case 3:
		t.Failure += ", which is not followed: give the address that it leads to"
		return t
	}
	said := make([]byte, 2*mostSaid)
	n, _ := io.ReadFull(answer, said)
	if text := clean(string(said[:n]), mostSaid); text != "" {
		t.Failure += ": " + text
	}
	return t
}

// mostSaid bytes of what a receiver says of a failure are kept: enough for "invalid signature".
const mostSaid = 160

// clean makes one line of foreign text, at most so many bytes of it.
func clean(s string, most int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }), " ")
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// reason says in words why there was no answer. The address is in none of them: it may hold a secret.
func (c *Courier) reason(err error) string {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var refused *refusedAddress
	var unknown x509.UnknownAuthorityError
	var named x509.HostnameError
	var invalid x509.CertificateInvalidError
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &refused):
		return refused.why
	case errors.As(err, &unknown):
		return "its certificate is of a CA that is not known: give the webhook its ca"
	case errors.As(err, &named):
		return "its certificate is for another name"
	case errors.As(err, &invalid):
		return "its certificate is not valid: " + clean(invalid.Error(), mostSaid)
	case errors.As(err, &dns):
		return "its name is not known"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("it did not answer within %s", c.patience())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it hung up without an answer"
	}
	return clean(err.Error(), mostSaid)
}
