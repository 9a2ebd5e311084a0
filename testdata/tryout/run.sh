#!/bin/sh
# `make run`: a gateway on 127.0.0.1:8480 that a newcomer can look at and talk to. usage: run.sh SLIPWAY STATE_FOLDER
# The first time it makes two models, a device to try by hand, a fleet and tokens; every time it drops the sample bundle, which
# is accepted again without a change, and plays the fleet's next days: it runs 1.0.0 and is soon offered 1.1.0, which is bad.
set -eu
slipway=$1 state=$2
base=http://127.0.0.1:8480
here=$(cd "$(dirname "$0")" && pwd)
sample=$here/../firmware
speed=100

umask 077
mkdir -p "$state"
# A unix socket's path ends at 107 bytes, and a checkout may lie deep.
SLIPWAY_SOCKET=$state/slipway.sock
if [ ${#SLIPWAY_SOCKET} -gt 107 ]; then
  SLIPWAY_SOCKET=$(mktemp -d /tmp/slipway-XXXXXX)/s
fi
export SLIPWAY_SOCKET

# Who is silent shows within the minute: the times of the gateway's states are as short as the fleet's life is fast.
"$slipway" serve --set state_dir="$state" --set socket="$SLIPWAY_SOCKET" --set rollout.up_within=9s \
  --set listen.https=off --set listen.http=127.0.0.1:8480 --set provisioning.base_url=$base 2>"$state/journal" &
gateway=$! later=
trap 'kill $gateway $later 2>/dev/null; wait $gateway' EXIT INT TERM
failed() { cat "$state/journal" >&2; [ $# -eq 0 ] || echo "$1" >&2; exit 1; }

# until_true SECONDS MESSAGE COMMAND…
until_true() {
  tries=$(($1 * 10)) message=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    kill -0 $gateway 2>/dev/null || failed
    tries=$((tries - 1))
    [ $tries -gt 0 ] || failed "$message"
    sleep 0.1
  done
}
until_true 120 'the gateway did not become ready within two minutes' "$slipway" status

if [ ! -s "$state/device" ]; then
  "$slipway" model add demo --name 'Demo board' >/dev/null
  "$slipway" device add --model demo --name 'Bench device' >"$state/device"
  "$slipway" token create --role operator --name tryout >"$state/operator"
fi
if [ ! -s "$state/fleet.csv" ]; then
  "$slipway" model add press --name 'Press controller' >/dev/null
  n=0
  while [ $n -lt 40 ]; do
    n=$((n + 1))
    printf 'press,press%03d,,Press %d,hall-%d\n' $n $n $((n % 3 + 1))
  done | "$slipway" device import - --secrets "$state/fleet.csv" >/dev/null
fi
field() { sed -n "s/^$2:* *//p" "$state/$1"; }
client_id=$(field device client_id) client_secret=$(field device client_secret) operator=$(field operator token)

${GO:-go} run "$sample/pack" -code demo -o "$state/drop/.demo.zip"
mv "$state/drop/.demo.zip" "$state/drop/demo.zip"
${GO:-go} run "$here/press/pack" press "$state/press"
"$slipway" firmware add "$state/press/1.0.0.zip" >/dev/null
"$slipway" firmware add "$state/press/1.1.0.zip" >/dev/null
"$slipway" firmware publish press 1.0.0 >/dev/null
sample_is_there() { "$slipway" firmware list --model demo | grep -q 1.0.0; }
until_true 120 'the sample bundle was not accepted within two minutes' sample_is_there

cat <<END

Slipway runs. Open its page and sign in with the token:

  $base/
  $operator

40 simulated presses live there, $speed times as fast as the clock: each asks every 3 seconds instead of every 5 minutes. They
run 1.0.0, which crashes at times. In ten seconds they are offered 1.1.0: most install it, some go back to 1.0.0, and some
are never heard again. Within a minute the page shows the crashes, decoded, and the command line who runs what and who is
silent. In another terminal, from this folder:

export SLIPWAY_SOCKET=$SLIPWAY_SOCKET
$slipway device list
$slipway crash list

You can be a device, too:

# a device asks for a token
TOKEN=\$(curl -s $base/api/oauth/token -d grant_type=client_credentials -d client_id=$client_id -d client_secret=$client_secret | sed 's/.*"access_token":"\([^"]*\)".*/\1/')

# it downloads its firmware
curl -s -H "Authorization: Bearer \$TOKEN" -o firmware.bin $base/api/iot/firmware && ls -l firmware.bin

# it resumes a download that broke off after 4096 bytes
head -c 4096 firmware.bin >resumed.bin && curl -s -C - -H "Authorization: Bearer \$TOKEN" -o resumed.bin $base/api/iot/firmware && cmp firmware.bin resumed.bin && echo resumed

# it uploads a core dump
curl -s -H "Authorization: Bearer \$TOKEN" --data-binary @testdata/crash/core.dmp "$base/api/iot/coredump?chip=esp32c3&firmware_version=1.0.0"

# an operator lists the dumps
curl -s -H "Authorization: Bearer $operator" $base/api/coredumps

# the same on the command line
SLIPWAY_SOCKET=$SLIPWAY_SOCKET $slipway dump list

# what the dump says: it is of another firmware than the sample, so the gateway waits for that bundle; here is its ELF
$slipway decode testdata/crash/core.dmp testdata/crash/crash.elf

The gateway's state is in $state, its drop folder is $state/drop, its log is
$state/journal. Ctrl-C stops everything. The fleet, in its own time:
END
{ sleep 10; "$slipway" firmware publish press 1.1.0; } >/dev/null &
later=$!
"$slipway" simulate --gateway $base --model press --csv "$state/fleet.csv" --dumps "$state/press/dumps" --runs 1.0.0 \
  --mix esp-mdm=25,poller=50,ota=15,arduino=10 --speed $speed --seed 3 \
  --bad 1.0.0=crash:3% --bad 1.1.0=crash:1% --bad 1.1.0=back:20% --bad 1.1.0=silent:15% || true
wait $gateway
