package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

const (
	lookEvery = 2 * time.Second // at a rollout that is waited for
	awayFor   = 5 * time.Minute // a gateway that restarts ends no wait
)

// notEndedError is a wait that has ended before its rollout.
type notEndedError struct{ r api.Rollout }

func (e *notEndedError) Error() string {
	text := fmt.Sprintf("rollout %d of %s is still %s", e.r.Number, e.r.Model, e.r.State)
	if e.r.Why != "" {
		text += ": " + visible(e.r.Why)
	}
	return text
}

func rolloutWaitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait MODEL [NUMBER]",
		Short: "Wait until a rollout has ended, for CI",
		Long: "Wait until a rollout has ended, for CI: the newest of the model, or that of the number. Exit codes: 0 it is finished, 1 it\n" +
			"has halted or was taken back, 3 there is no such rollout, 5 it has not ended at --timeout, without which it waits.",
		Args: cobra.RangeArgs(1, 2),
	}
	format := addFormat(cmd)
	timeout := cmd.Flags().Duration("timeout", 0, "how long, such as 30m or 72h (default: until it has ended)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		number := ""
		if len(args) == 2 {
			number = args[1]
		}
		if *timeout < 0 {
			return usagef("--timeout %s: want a time, such as 30m", *timeout)
		}
		answer, r, err := awaitRollout(cmd.Context(), connect(cmd), args[0], number, *timeout)
		if err != nil {
			return err
		}
		if err := show(cmd, format, answer, actedWithWhy); err != nil {
			return err
		}
		if r.State != fleet.RolloutFinished {
			return fmt.Errorf("rollout %d of %s has not reached its end", r.Number, r.Model)
		}
		return nil
	}
	return cmd
}

func actedWithWhy(w io.Writer, r api.Rollout) {
	text := string(r.State)
	if r.Why != "" {
		text += ": " + visible(r.Why)
	}
	fmt.Fprintf(w, "rollout %d of %s, of %s, is %s\n", r.Number, r.Model, visible(string(r.Version)), text)
}

// awaitRollout looks at a rollout until it has ended. It stays with the one that was the newest at the call.
func awaitRollout(ctx context.Context, c *client, model, number string, timeout time.Duration) (json.RawMessage, api.Rollout, error) {
	var over <-chan time.Time
	if timeout > 0 {
		over = time.After(timeout)
	}
	heard, ever := time.Now(), false
	var r api.Rollout
	for {
		answer, err := c.get(ctx, rolloutPath(model, number))
		switch {
		case err == nil:
			if r, err = as[api.Rollout](answer); err != nil {
				return nil, r, err
			}
			number, heard, ever = strconv.Itoa(r.Number), time.Now(), true
			if ended(r.State) {
				return answer, r, nil
			}
		case !ever || !passing(err) || time.Since(heard) > awayFor:
			return nil, r, err
		}
		select {
		case <-ctx.Done():
			return nil, r, ctx.Err()
		case <-over:
			return nil, r, &notEndedError{r}
		case <-time.After(lookEvery):
		}
	}
}

func ended(s fleet.RolloutState) bool { return s != fleet.RolloutRetreating && !s.Unfinished() }

// passing are errors that a restart of the gateway makes.
func passing(err error) bool {
	var answer *answerError
	refused := errors.As(err, &answer) && answer.status/100 != 5
	return !refused && !errors.Is(err, context.Canceled)
}
