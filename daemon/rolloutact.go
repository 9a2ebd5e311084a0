package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-gateway/slipway/pkg/api"
	"github.com/slipway-gateway/slipway/pkg/fleet"
)

// actCommand is a verb on a model's newest rollout, or on that of --number.
func actCommand(verb fleet.RolloutVerb, short, long string) (cmd *cobra.Command, in *api.RolloutAct) {
	cmd = &cobra.Command{Use: string(verb) + " MODEL", Short: short, Long: long, Args: cobra.ExactArgs(1)}
	in = &api.RolloutAct{}
	format := addFormat(cmd)
	number := addNumber(cmd)
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why, for the journal and the page; at most 200 characters")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		answer, err := act(cmd, args[0], *number, verb, in)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, actedText)
	}
	return cmd, in
}

func act(cmd *cobra.Command, model, number string, verb fleet.RolloutVerb, in *api.RolloutAct) (json.RawMessage, error) {
	if err := hasReason(cmd, model, number, verb, in); err != nil {
		return nil, err
	}
	return connect(cmd).send(cmd.Context(), http.MethodPost, rolloutPath(model, number, string(verb)), in)
}

// hasReason says what is wrong with a command before anything is asked for. A resume needs a reason after a halt only.
func hasReason(cmd *cobra.Command, model, number string, verb fleet.RolloutVerb, in *api.RolloutAct) error {
	if strings.TrimSpace(in.Reason) != "" {
		return nil
	}
	var r api.Rollout
	if verb == fleet.RolloutResume {
		answer, err := connect(cmd).get(cmd.Context(), rolloutPath(model, number))
		if err != nil {
			return err
		}
		if r, err = as[api.Rollout](answer); err != nil {
			return err
		}
	}
	if api.NeedsReason(verb, r.State) {
		return usagef("%s needs a --reason: say why, in a few words; it stands in the journal and on the page", verb)
	}
	return nil
}

func actedText(w io.Writer, r api.Rollout) {
	fmt.Fprintf(w, "rollout %d of %s, of %s, is %s\n", r.Number, r.Model, visible(string(r.Version)), r.State)
}

func rolloutPauseCommand() *cobra.Command {
	cmd, _ := actCommand(fleet.RolloutPause, "Offer the build to nobody else until it is resumed",
		"Offer the build to nobody else until it is resumed. Whoever was offered it keeps it.")
	return cmd
}

func rolloutResumeCommand() *cobra.Command {
	cmd, in := actCommand(fleet.RolloutResume, "Go on, or begin a draft",
		"Go on, or begin a draft. After a halt it needs a --reason, and --accept names what counts no more: a crash's fingerprint,\n"+
			"or a share of updates that may end badly, such as 5%; the evidence starts anew.")
	cmd.Flags().StringArrayVar(&in.Accept, "accept", nil, "after a halt: a fingerprint, or a share such as 5%, that counts no more; may be repeated")
	return cmd
}

func rolloutHaltCommand() *cobra.Command {
	cmd, _ := actCommand(fleet.RolloutHalt, "Stop a rollout at once; it needs a --reason",
		"Stop a rollout at once: nobody else is offered the build, and downloads that go on are broken off. Whoever has the build\n"+
			"keeps it: 'slipway rollout retreat' offers them the one before. It needs a --reason.")
	return cmd
}

func rolloutAdvanceCommand() *cobra.Command {
	cmd, _ := actCommand(fleet.RolloutAdvance, "Open the next wave now, without its rest and its gate; it needs a --reason",
		"Open the next wave now, without its rest and without what its plan wants to be ruled out. What is shown to be worse halts\n"+
			"it all the same. It needs a --reason.")
	return cmd
}

func rolloutRetreatCommand() *cobra.Command {
	cmd, in := actCommand(fleet.RolloutRetreat, "Offer the build before to those that have the new one; it needs a --reason",
		"Offer the build before to those that have the new one, in waves of its own. It is refused where the new image's secure\n"+
			"version is higher, and asks for --untested where no device was moved from the new build to the old one yet.")
	cmd.Flags().BoolVar(&in.Untested, "untested", false, "although no device was moved back from this build yet")
	return cmd
}

func rolloutFinishCommand() *cobra.Command {
	cmd, _ := actCommand(fleet.RolloutFinish, "Publish the build of a rollout: all devices are offered it", "")
	return cmd
}

func rolloutExcuseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "excuse DEVICE...",
		Short: "Free the slots of devices that were lost for another reason; it needs a --reason",
		Long: "Free the slots that devices hold which were lost, went back or crashed, such as one that was unplugged: others are offered\n" +
			"the build in their place. What they did counts on. They are in the newest rollout of their model. It needs a --reason.",
		Args: cobra.MinimumNArgs(1),
	}
	format := addFormat(cmd)
	in := &api.RolloutAct{}
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why, for the journal and the page; at most 200 characters")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Devices = args
		if err := hasReason(cmd, "", "", fleet.RolloutExcuse, in); err != nil {
			return err
		}
		model, number, err := rolloutOf(cmd, args)
		if err != nil {
			return err
		}
		answer, err := act(cmd, model, number, fleet.RolloutExcuse, in)
		if err != nil {
			return err
		}
		return show(cmd, format, answer, actedText)
	}
	return cmd
}

// rolloutOf is the one that all of these devices are in.
func rolloutOf(cmd *cobra.Command, keys []string) (model, number string, err error) {
	for _, key := range keys {
		answer, err := connect(cmd).get(cmd.Context(), path("devices", key))
		if err != nil {
			return "", "", err
		}
		d, err := as[api.Device](answer)
		switch {
		case err != nil:
			return "", "", err
		case d.Rollout == nil:
			return "", "", fmt.Errorf("device %s is in no rollout", d.Key)
		case model != "" && model != string(d.Model):
			return "", "", usagef("%s and %s are of different models, and so in different rollouts: excuse them one after the other", keys[0], d.Key)
		}
		model, number = string(d.Model), fmt.Sprint(d.Rollout.Number)
	}
	return model, number, nil
}
