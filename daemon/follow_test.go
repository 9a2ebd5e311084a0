package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/spf13/cobra"
)

func TestFollowingEventsEndsWithARefusal(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var streams atomic.Int64
			gateway := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Header.Get("Accept") != "text/event-stream":
					fmt.Fprint(w, `{"events":[],"next":null}`)
				case streams.Add(1) == 1: // and ends, as with a restart or a revoked token
					fmt.Fprint(w, "id: 7\n\n")
				case streams.Load() == 2:
					w.WriteHeader(status)
				default: // it has come again
					cancel()
				}
			})
			socket := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: gateway, ReadHeaderTimeout: testPatience}
			go server.Serve(l) //nolint:errcheck // until it is closed
			t.Cleanup(func() { _ = server.Close() })
			cmd := &cobra.Command{}
			cmd.Flags().String("socket", socket, "")
			cmd.SetContext(ctx)
			cmd.SetOut(io.Discard)
			err = (&follower{cmd: cmd, client: connect(cmd), query: url.Values{}}).run(1)
			var refusal *answerError
			if ends := errors.As(err, &refusal); ends != (status < 500) || ends && refusal.status != status {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}
