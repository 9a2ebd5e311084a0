#!/bin/sh
# Makes state.tar.gz: a state folder that commit a978fee wrote, of the catalog's schema 1, for the tests of the regrouping.
# usage: make.sh   in a clone that has the commit. It needs git, Go, curl and jq, and takes a minute.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d /tmp/schema1-XXXXXX)
gateway=
trap '[ -z "$gateway" ] || kill $gateway; git -C "$here" worktree remove --force "$work/tree"; rm -rf "$work"' EXIT INT TERM
git -C "$here" worktree add --quiet --detach "$work/tree" a978fee
mkdir "$work/tree/makeschema1" "$work/variants" "$work/state"
sed 1d "$here/make.go" >"$work/tree/makeschema1/main.go"
cat >"$work/tree/makeschema1/pack.go" <<'END'
package main

import (
	"os"

	real "github.com/slipway-gateway/slipway/testdata/crash"
)

func init() { // before main: make.sh asks for the bundle with the variable alone
	if to := os.Getenv("BUNDLE_TO"); to != "" {
		zip, err := real.Bundle("press")
		check(err)
		check(os.WriteFile(to, zip, 0o644))
		os.Exit(0)
	}
}
END
cd "$work/tree"
export CGO_ENABLED=0
go build -o "$work/slipway" ./daemon
go build -o "$work/make" ./makeschema1
"$work/make" variants testdata/crash/core.dmp "$work/variants"
BUNDLE_TO=$work/press.zip "$work/make"

SLIPWAY_SOCKET=$work/s
export SLIPWAY_SOCKET
"$work/slipway" serve --set state_dir="$work/state" --set listen.https=off --set listen.http=127.0.0.1:0 \
  --set provisioning.base_url=http://127.0.0.1 --set socket="$SLIPWAY_SOCKET" 2>"$work/journal" &
gateway=$!
until "$work/slipway" status >/dev/null 2>&1; do kill -0 $gateway; sleep 0.2; done
base=http://$("$work/slipway" status --format json | jq -r .listens | grep -o '127[0-9.:]*' | head -1)
"$work/slipway" model add press --name 'Hydraulic press'
"$work/slipway" firmware add --model press "$work/press.zip" || cp "$work/press.zip" "$work/state/drop/press.zip"
until "$work/slipway" firmware list --model press | grep -q 2.0.1; do sleep 0.2; done
for n in 1 2 3; do "$work/slipway" device add --model press --key press00$n >/dev/null; done
upload() { # DEVICE VARIANT
  token=$("$work/slipway" device token "$1" --format json | jq -r .access_token)
  curl -sSf -o /dev/null -H "Authorization: Bearer $token" --data-binary @"$work/variants/$2" "$base/api/iot/coredump?chip=esp32c3&firmware_version=2.0.1"
}
# Two sorts of fault at one place are two groups by the first rules and one by the second.
upload press001 store; upload press002 store; upload press003 store
upload press001 load; upload press002 load
upload press003 regulate
until "$work/slipway" status --format json | jq -e '.coredumps == 6 and .coredumps_waiting == 0' >/dev/null; do sleep 0.2; done
group() { "$work/slipway" crash list --format json | jq -r --argjson n "$1" --arg t "$2" '.crashes[] | select(.count == $n and (.reason | test($t))) | .fingerprint'; }
"$work/slipway" crash resolve "$(group 3 Store)" --in 9.0.0
"$work/slipway" crash ignore "$(group 2 Load)"
kill $gateway; wait $gateway || true; gateway=

"$work/make" fill "$work/state" "$work/variants"
rm -rf "$work/state/keys" "$work/state/backup" "$work/state/drop" "$work/state/s"
find "$work/state" -type f -size +1M -exec ls -l {} +
tar -C "$work/state" --sparse --sort=name --owner=0 --group=0 --numeric-owner -czf "$here/state.tar.gz" .
ls -l "$here/state.tar.gz"
