package main

import (
	"cmp"
	"encoding/json"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
)

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
	version = cmp.Or(version, info.Main.Version, "(devel)")
	commit = cmp.Or(commit, noted["vcs.revision"])
	built = cmp.Or(built, noted["vcs.time"])
}

// builtAt is when the binary's source was committed, zero when unknown. No clock that says less can be right.
func builtAt() time.Time {
	at, _ := time.Parse(time.RFC3339, built) // unknown is zero
	return at
}

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Show which slipway this is", Args: cobra.NoArgs}
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
