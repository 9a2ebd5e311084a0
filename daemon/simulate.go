package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/slipway-gateway/slipway/pkg/fleet"
	"github.com/slipway-gateway/slipway/pkg/simulate"
)

// simulation is what `slipway simulate` was asked to play.
type simulation struct {
	gateway, model  string
	devices         int
	mix, csv, dumps string
	bad             []string
	plan            simulate.Plan
}

func simulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate --gateway URL --model CODE",
		Short: "Play a fleet against a gateway: devices that poll, download, boot, crash and fall silent",
		Long: "Play a fleet against a gateway, to see what it would do with so many devices. The devices make the requests of four\n" +
			"kinds of clients, with the receive window of a device: esp-mdm (asks when it boots, here once an interval), poller\n" +
			"(asks for the version, tells what it runs), ota (esp_https_ota with ranges) and arduino (HTTPUpdate).\n" +
			"They are made through the socket, or are those of the CSV that --csv names, and stay when the command ends: play on a\n" +
			"gateway of its own. Images come from the gateway, core dumps from the folder that --dumps names; without it nobody\n" +
			"uploads any. It ends after --for, or when it is interrupted, and prints a summary. The exit code is 1 when requests\n" +
			"were answered otherwise than planned. The same --seed plays the same.",
		Args: cobra.NoArgs,
	}
	format := addFormat(cmd)
	var s simulation
	f := cmd.Flags()
	f.StringVar(&s.gateway, "gateway", "", "its address, such as http://127.0.0.1:8480")
	f.StringVar(&s.model, "model", "", "the devices' model; it has firmware already")
	f.IntVar(&s.devices, "devices", 10, "how many; with --csv at most as many as it has")
	f.StringVar(&s.mix, "mix", "esp-mdm=60,poller=20,ota=15,arduino=5", "parts of each kind")
	f.DurationVar(&s.plan.Interval, "interval", 5*time.Minute, "between two contacts of a device; it varies by a tenth")
	f.Float64Var(&s.plan.CrashRate, "crash-rate", 0.002, "probability of a crash in an interval")
	f.StringArrayVar(&s.bad, "bad", nil, "what is wrong with a version: VERSION=silent, late:6h (silent, so long after its boot), crash:5% (of the intervals) or back:30% (of the devices); may be repeated")
	f.Float64Var(&s.plan.Speed, "speed", 1, "how much faster the fleet lives; at 60 a day takes 24 minutes")
	f.DurationVar(&s.plan.For, "for", 0, "how long it plays, in the fleet's time (0: until it is interrupted)")
	f.Uint64Var(&s.plan.Seed, "seed", 1, "what all chance follows from, the devices' keys too")
	f.StringVar(&s.plan.Runs, "runs", "", "the version that the devices run at the beginning (default: none, they install what they are offered)")
	f.StringVar(&s.csv, "csv", "", "file with the devices and their secrets, as 'slipway device import --secrets' writes it")
	f.StringVar(&s.dumps, "dumps", "", "folder with core dumps, VERSION/NAME.dmp")
	f.StringVar(&s.plan.Chip, "chip", "esp32c3", "the chip that dumps are declared with")
	required(cmd, "gateway", "model")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.read(cmd); err != nil {
			return err
		}
		return s.play(cmd, format)
	}
	return cmd
}

// read turns the flags into a plan. The gateway is asked last: a mistake makes no devices.
func (s *simulation) read(cmd *cobra.Command) (err error) {
	p := &s.plan
	if _, err := fleet.ParseModelCode(s.model); err != nil {
		return &usageError{err}
	}
	if p.Gateway, err = url.Parse(s.gateway); err != nil || p.Gateway.Host == "" || p.Gateway.Scheme != "http" && p.Gateway.Scheme != "https" {
		return usagef("--gateway %q: want an address such as http://127.0.0.1:8480", s.gateway)
	}
	switch {
	case s.devices < 1 || s.devices > 100_000:
		return usagef("--devices %d: want 1 to 100000", s.devices)
	case p.Interval <= 0, p.For < 0:
		return usagef("--interval and --for want a time, such as 5m")
	case !(p.Speed > 0 && p.Speed <= 10_000):
		return usagef("--speed %v: want more than 0, and 10000 at most", p.Speed)
	case !(p.CrashRate >= 0 && p.CrashRate <= 1):
		return usagef("--crash-rate %v: want 0 to 1", p.CrashRate)
	}
	for _, text := range s.bad {
		fault, err := simulate.ParseFault(text)
		if err != nil {
			return &usageError{err}
		}
		p.Faults = append(p.Faults, fault)
	}
	mix, err := simulate.ParseMix(s.mix)
	if err != nil {
		return &usageError{err}
	}
	p.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if ca := caOf(cmd); ca != "" {
		if p.TLS.RootCAs, err = readCA(ca); err != nil {
			return err
		}
	}
	if p.Dumps, err = readDumps(s.dumps); err != nil {
		return err
	}
	if p.Devices, err = s.fleet(cmd); err != nil {
		return err
	}
	for i, kind := range mix.Deal(len(p.Devices), p.Seed) {
		p.Devices[i].Kind = kind
	}
	return nil
}

// play plays the plan and tells of it.
func (s *simulation) play(cmd *cobra.Command, format *textOrJSON) error {
	player := simulate.NewPlayer(s.plan)
	ctx, ended := context.WithCancel(cmd.Context())
	told := make(chan struct{})
	go func() {
		defer close(told)
		tellProgress(ctx, cmd.ErrOrStderr(), player)
	}()
	player.Run(cmd.Context())
	ended()
	<-told
	sum := player.Summary()
	answer, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	if err := show(cmd, format, answer, simulationText); err != nil {
		return err
	}
	if sum.Errors > 0 {
		return fmt.Errorf("%d requests were answered otherwise than planned", sum.Errors)
	}
	return nil
}

// tellProgress says how the fleet is: on a terminal in one line that changes, elsewhere in a line now and then.
func tellProgress(ctx context.Context, w io.Writer, player *simulate.Player) {
	every, begin, end := 10*time.Second, "", "\n"
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		every, begin, end = time.Second, "\r\x1b[K", ""
		defer fmt.Fprintln(w)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fmt.Fprint(w, begin+progressText(player.Summary())+end)
		}
	}
}

func progressText(s simulate.Summary) string {
	return fmt.Sprintf("%s: %d devices, %s; %d downloads, %d crashes, %d dumps, %d errors", lived(s), len(s.Devices), fleetText(s),
		s.Downloads, s.Crashes, s.Dumps, s.Errors)
}

// lived is how long the fleet has lived.
func lived(s simulate.Summary) string {
	return time.Duration(s.Lived * float64(time.Second)).Truncate(time.Second).String()
}

// fleetText is what the devices run and how many are silent.
func fleetText(s simulate.Summary) string {
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(s.Versions)) {
		name := v
		if v == "" {
			name = "nothing yet"
		}
		parts = append(parts, fmt.Sprintf("%d run %s", s.Versions[v], visible(name)))
	}
	if s.Silent > 0 {
		parts = append(parts, fmt.Sprintf("%d silent", s.Silent))
	}
	return strings.Join(parts, ", ")
}

func simulationText(w io.Writer, s simulate.Summary) {
	c := newColumns(w, "REQUEST", "COUNT", "ERRORS", "P50", "P95", "P99", "MAX")
	for _, r := range s.Requests {
		c.row(string(r.Request), fmt.Sprint(r.Count), fmt.Sprint(r.Errors), milliseconds(r.P50), milliseconds(r.P95), milliseconds(r.P99), milliseconds(r.Max))
	}
	c.flush()
	fmt.Fprintln(w)
	fields(w, "lived", lived(s), "devices", fmt.Sprintf("%d: %s", len(s.Devices), fleetText(s)),
		"downloads", fmt.Sprintf("%d whole, %d checks", s.Downloads, s.Checks), "boots", fmt.Sprintf("%d, %d of them after a crash, %d devices went back", s.Boots, s.Crashes, s.WentBack),
		"dumps", fmt.Sprintf("%d uploaded", s.Dumps), "errors", fmt.Sprint(s.Errors))
	for _, m := range s.Messages {
		fmt.Fprintln(w, "  "+visible(m))
	}
}

func milliseconds(ms float64) string { return fmt.Sprintf("%.1f ms", ms) }
