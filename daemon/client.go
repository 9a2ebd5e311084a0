package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/gateway"
)

// client speaks with a gateway: the JSON API that operators have, as admin through the socket, else with a token.
type client struct {
	reach
	http http.Client
	lost error // why there is no way to a gateway
}

// connect makes the client of a command; nothing is dialled before the first call.
func connect(cmd *cobra.Command) *client {
	r, err := reachOf(cmd)
	if err != nil {
		return &client{lost: err}
	}
	return newClient(r)
}

func newClient(r reach) *client { return &client{reach: r, http: r.client()} }

// path joins the parts of an address, each escaped.
func path(parts ...string) string {
	p := "/api"
	for _, part := range parts {
		p += "/" + url.PathEscape(part)
	}
	return p
}

// patience is how long a question may take: a gateway that is wedged must not hold up whoever watches it. Uploads and
// rebuilds take their time.
const patience = time.Minute

// get asks for JSON.
func (c *client) get(ctx context.Context, path string) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the gateway has not answered within %s: look at its journal", patience))
	defer cancel()
	answer, err := c.json(ctx, http.MethodGet, path, nil)
	if errors.Is(err, context.DeadlineExceeded) {
		err = context.Cause(ctx)
	}
	return answer, err
}

// send sends v as JSON, nil for no body, and returns the JSON that is answered.
func (c *client) send(ctx context.Context, method, path string, v any) (json.RawMessage, error) {
	if v == nil {
		return c.json(ctx, method, path, nil)
	}
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return c.json(ctx, method, path, &upload{kind: "application/json", body: bytes.NewReader(body), size: int64(len(body))})
}

func (c *client) json(ctx context.Context, method, path string, up *upload) (json.RawMessage, error) {
	resp, err := c.do(ctx, method, path, up)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the gateway's answer: %w", err)
	}
	return body, nil
}

// upload is the body of a request.
type upload struct {
	kind string // media type
	body io.Reader
	size int64 // bytes, -1 when unknown
}

// do makes a request; an answer other than 2xx is an error. The caller closes the body.
func (c *client) do(ctx context.Context, method, path string, up *upload) (*http.Response, error) {
	return c.doWith(ctx, method, path, up, nil)
}

// doWith is do with further headers.
func (c *client) doWith(ctx context.Context, method, path string, up *upload, header http.Header) (*http.Response, error) {
	if c.lost != nil {
		return nil, c.lost
	}
	req, err := http.NewRequestWithContext(ctx, method, c.address(path), nil)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	maps.Copy(req.Header, header)
	if up != nil {
		req.Body, req.ContentLength = io.NopCloser(up.body), up.size
		req.Header.Set("Content-Type", up.kind)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	err = readAnswerError(resp)
	if c.base != "" && resp.StatusCode == http.StatusUnauthorized {
		err = fmt.Errorf("%s does not know the token (revoked, or of another gateway): make one there, and run 'slipway login %s' again", c.base, c.base)
	}
	return nil, err
}

// socketClient refuses a gateway elsewhere before it is asked, as no token is enough: it would answer as if the token were wrong.
func socketClient(cmd *cobra.Command, refusal string) (*client, error) {
	c := connect(cmd)
	if c.base != "" {
		return nil, usagef(refusal, c.base)
	}
	return c, nil
}

// errNoDaemon is a socket or an address that nobody answers on.
var errNoDaemon = errors.New("no gateway answers")

func (c *client) unreachable(err error) error {
	var dial *net.OpError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case c.explain(err) != nil:
		return c.explain(err)
	case !errors.As(err, &dial) || dial.Op != "dial":
		var address *url.Error // which nobody knows: it is made up
		if errors.As(err, &address) {
			err = address.Err
		}
		return fmt.Errorf("the gateway hung up before it answered: %w", err)
	case c.base != "":
		return fmt.Errorf("%w at %s (%w): is it on, and does its name lead there from this machine?", errNoDaemon, c.base, dial.Err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to use %s: become root, or join the group %s", c.socket, gateway.SocketGroup)
	case errors.Is(err, syscall.EINVAL):
		return usagef("%s cannot be a socket: its path is longer than 107 bytes", c.socket)
	}
	return fmt.Errorf("%w on %s: start it with 'systemctl start slipway' or 'slipway serve', or name its socket with --socket",
		errNoDaemon, c.socket)
}

// answerError is a refusal of the gateway.
type answerError struct {
	status      int
	message     string
	correlation string
}

func readAnswerError(resp *http.Response) error {
	const most = 64 << 10 // of an error body
	var body struct {
		Error         string `json:"error"`
		CorrelationID string `json:"correlationId"`
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return fmt.Errorf("read the gateway's answer %s: %w", resp.Status, err)
	}
	if json.Unmarshal(raw, &body) != nil || body.Error == "" {
		body.Error = "the gateway answers " + resp.Status
	}
	return &answerError{resp.StatusCode, body.Error, body.CorrelationID}
}

func (e *answerError) Error() string {
	if e.status >= http.StatusInternalServerError && e.correlation != "" {
		return fmt.Sprintf("%s (the journal has more under %s)", e.message, e.correlation)
	}
	return e.message
}

func (e *answerError) notFound() bool { return e.status == http.StatusNotFound }
