package main

import (
	"cmp"
	"encoding/json"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// lastRelease is the last release: the one place that names it. The Makefile reads it here; what is built after it is
// RELEASE+COMMITS.gHASH, which package managers sort by the number of commits.
const lastRelease = "0.2.0"

// What this binary is: `make build` sets these with -ldflags; else what the Go toolchain has noted is taken.
var (
	version = ""
	commit  = ""
	built   = "" // RFC 3339: the commit's time, so that two builds of it are identical
)

// versionInfo is what `slipway version` prints.
type versionInfo struct {
	Version   string `json:"version"`
	Commit    string `json:"commit,omitempty"`
	Built     string `json:"built,omitempty"`
	GoVersion string `json:"go_version"`
	Platform  string `json:"platform"`
}

func init() {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	noted := map[string]string{}
	for _, s := range info.Settings {
		noted[s.Key] = s.Value
	}
	version = cmp.Or(version, versionOf(info.Main.Version, noted))
	commit = cmp.Or(commit, noted["vcs.revision"])
	built = cmp.Or(built, noted["vcs.time"])
}

// versionOf is what a binary calls itself that `go build` or `go install` has made: module is "v0.2.0" where that version
// was asked for, else made up by Go or "(devel)".
func versionOf(module string, noted map[string]string) string {
	if own, tagged := strings.CutPrefix(module, "v"); tagged && !strings.ContainsAny(own, "-+") {
		return own
	}
	hash := noted["vcs.revision"]
	if hash == "" {
		return lastRelease + "+devel"
	}
	v := lastRelease + "+g" + hash[:min(len(hash), 12)]
	if noted["vcs.modified"] == "true" {
		v += ".dirty"
	}
	return v
}

// builtAt is when the binary's source was committed, zero when unknown. No clock that says less can be right.
func builtAt() time.Time {
	at, _ := time.Parse(time.RFC3339, built) // unknown is zero
	return at
}

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Show the version", Args: cobra.NoArgs}
	format := addFormat(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		answer, err := json.Marshal(versionInfo{version, commit, built, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
		if err != nil {
			return err
		}
		return show(cmd, format, answer, func(w io.Writer, v versionInfo) {
			fields(w, "slipway", v.Version, "commit", v.Commit, "built", localTime(builtAt()), "go", v.GoVersion, "platform", v.Platform)
		})
	}
	return cmd
}
