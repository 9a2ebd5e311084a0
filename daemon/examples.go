package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// examples are lines as people type them, for every command that does not have its own beside it. Tests run the first of each
// against a gateway that is not there: it has to be right, and to end with the exit code for that.
var examples = map[string]string{
	"serve":          "slipway serve --set listen.http=127.0.0.1:8480 --set state_dir=/tmp/slipway --set socket=/tmp/slipway.sock",
	"status":         "slipway status\nslipway status --format json | jq .trouble",
	"version":        "slipway version",
	"config check":   "slipway config check --config /etc/slipway/slipway.yaml",
	"config show":    "slipway config show\nslipway config show --set listen.http=:8480",
	"model list":     "slipway model list --columns model,firmware",
	"model add":      "slipway model add pump --name \"Pump controller\"",
	"model show":     "slipway model show pump",
	"model versions": "slipway model versions pump",
	"model set":      "slipway model set pump --name \"Pump, 2nd series\"\nslipway model set pump --config pump.json",
	"model rm":       "slipway model rm pump --yes",
	"device list": "slipway device list --state silent --line hall3\nslipway device list --model pump --version 1.4.2 --columns device,name,heard\n" +
		"slipway device list --search press --since 2h",
	"device add":    "slipway device add --model pump --name \"Press 7\" --line hall3",
	"device import": "slipway device import devices.csv --dry-run\nslipway device import --model pump targets.json",
	"device show":   "slipway device show a1b2c3d4",
	"device set": "slipway device set a1b2c3d4 --name \"Press 7\" --line hall3 --label hot\nslipway device set a1b2c3d4 --pin 1.4.1\n" +
		"slipway device set a1b2c3d4 --revoked",
	"device rm":          "slipway device rm a1b2c3d4 --yes",
	"device token":       "slipway device token a1b2c3d4",
	"device secret":      "slipway device secret a1b2c3d4 --yes",
	"device path-secret": "slipway device path-secret a1b2c3d4\nslipway device path-secret a1b2c3d4 --revoke",
	"device nudge":       "slipway device nudge a1b2c3d4",
	"firmware list":      "slipway firmware list --model pump\nslipway firmware list --since 7d",
	"firmware add":       "slipway firmware add pump.zip\nslipway firmware add build --model pump\nslipway firmware add old.zip --store",
	"firmware publish":   "slipway firmware publish pump 1.4.1",
	"firmware show":      "slipway firmware show pump 1.4.2",
	"firmware note":      "slipway firmware note pump 1.4.2 \"only for the new valves\"",
	"firmware rm":        "slipway firmware rm pump 1.3.0 --yes",
	"firmware inspect":   "slipway firmware inspect pump.zip",
	"dump list":          "slipway dump list --model pump --state missing\nslipway dump list --device a1b2c3d4 --since 7d",
	"dump show":          "slipway dump show a1b2c3d4 latest\nslipway dump show a1b2c3d4 coredump_20260504T120000_000000Z",
	"dump get":           "slipway dump get a1b2c3d4 latest\nslipway dump get a1b2c3d4 latest --output core.dmp",
	"dump decode":        "slipway dump decode a1b2c3d4 latest\nslipway dump decode a1b2c3d4 coredump_20260504T120000_000000Z",
	"dump rm":            "slipway dump rm a1b2c3d4 coredump_20260504T120000_000000Z --yes",
	"drop list":          "slipway drop list\nslipway drop list --since 2d",
	"drop dismiss":       "slipway drop dismiss pump-1.4.2.zip --yes",
	"wanted":             "slipway wanted\nslipway wanted --until 7d",
	"crash list":         "slipway crash list --state open --since 24h\nslipway crash list --model pump --version 1.4.2 --sort devices",
	"crash show":         "slipway crash show 3f2a9c0d11223344\nslipway crash show 3f2a9c0d11223344 --devices",
	"crash resolve":      "slipway crash resolve 3f2a9c0d11223344 --in 1.4.3",
	"crash ignore":       "slipway crash ignore 3f2a9c0d11223344\nslipway crash ignore 3f2a9c0d11223344 --until-version 1.5.0\nslipway crash ignore 3f2a9c0d11223344 --until-crashes 100\nslipway crash ignore 3f2a9c0d11223344 --until 7d",
	"crash reopen":       "slipway crash reopen 3f2a9c0d11223344",
	"crash decode":       "slipway crash decode 3f2a9c0d11223344",
	"crash merge":        "slipway crash merge 3f2a9c0d11223344 77aa9c0d11223344",
	"crash split":        "slipway crash split 3f2a9c0d11223344 77aa9c0d11223344",
	"crash note":         "slipway crash note 3f2a9c0d11223344 \"the sensor of hall 3\" --link https://tickets.plant/7",
	"decode":             "slipway decode core.dmp\nslipway decode core.dmp pump.elf --format json",
	"simulate":           "slipway simulate --gateway http://127.0.0.1:8480 --model pump --devices 100 --speed 60",
	"token create":       "slipway token create --role pipeline --model pump --name CI",
	"token list":         "slipway token list\nslipway token list --since 30d",
	"token revoke":       "slipway token revoke k3j9x2 --yes",
	"token rotate-key":   "slipway token rotate-key",
	"logout":             "slipway logout",
	"clock accept":       "slipway clock accept",
	"audit verify":       "slipway audit verify\nslipway audit verify audit.ndjson",
	"webhook list":       "slipway webhook list",
	"webhook rm":         "slipway webhook rm k3j9x2 --yes",
	"webhook secret":     "slipway webhook secret k3j9x2",
	"webhook test":       "slipway webhook test k3j9x2",
	"catalog rebuild":    "slipway catalog rebuild",
	"catalog new":        "slipway catalog new --without-backup",
	"backup create":      "slipway backup create gateway.age",
	"backup restore":     "slipway backup restore gateway.age",
	"backup check":       "slipway backup check gateway.age",
	"backup key":         "slipway backup key",
	"rollout start":      "slipway rollout start pump 1.5.0 --dry-run\nslipway rollout start pump 1.5.0",
	"rollout list":       "slipway rollout list --state halted\nslipway rollout list --model pump --since 30d",
	"rollout show":       "slipway rollout show pump\nslipway rollout show",
	"rollout devices":    "slipway rollout devices pump --state lost\nslipway rollout devices pump --since 2h",
	"rollout explain":    "slipway rollout explain pump",
	"rollout pause":      "slipway rollout pause pump",
	"rollout resume":     "slipway rollout resume pump --reason \"the line was without power\"",
	"rollout halt":       "slipway rollout halt pump --reason \"valves stay open\"",
	"rollout advance":    "slipway rollout advance pump --reason \"the line stands still until Monday\"",
	"rollout excuse":     "slipway rollout excuse a1b2c3d4 --reason \"unplugged\"",
	"rollout retreat":    "slipway rollout retreat pump --reason \"valves stay open\"",
	"rollout finish":     "slipway rollout finish pump",
	"rollout wait":       "slipway rollout wait pump --timeout 72h",
	"rollout plan":       "slipway rollout plan pump\nslipway rollout plan pump urgent",
}

// addExamples gives the commands below root those that they do not have themselves.
func addExamples(root *cobra.Command) {
	walk(root, func(cmd *cobra.Command) {
		_, name, _ := strings.Cut(cmd.CommandPath(), " ")
		if text := examples[name]; text != "" && cmd.Example == "" {
			cmd.Example = "  " + strings.ReplaceAll(text, "\n", "\n  ")
		}
	})
}

// walk calls do for a command and all below it.
func walk(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, do)
	}
}
