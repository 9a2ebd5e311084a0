#!/bin/sh
# `make run`: a gateway on 127.0.0.1:8480 that a newcomer can talk to. usage: run.sh SLIPWAY STATE_FOLDER
# The first time it makes a model, a device and tokens; every time it drops the sample bundle, which is accepted again
# without a change.
set -eu
slipway=$1 state=$2
base=http://127.0.0.1:8480
here=$(cd "$(dirname "$0")" && pwd)
sample=$here/../firmware

umask 077
mkdir -p "$state"
# A unix socket's path ends at 107 bytes, and a checkout may lie deep.
SLIPWAY_SOCKET=$state/slipway.sock
if [ ${#SLIPWAY_SOCKET} -gt 107 ]; then
  SLIPWAY_SOCKET=$(mktemp -d /tmp/slipway-XXXXXX)/s
fi
export SLIPWAY_SOCKET

"$slipway" serve --set state_dir="$state" --set socket="$SLIPWAY_SOCKET" \
  --set listen.https=off --set listen.http=127.0.0.1:8480 --set provisioning.base_url=$base &
gateway=$!
trap 'kill $gateway 2>/dev/null; wait $gateway' EXIT INT TERM

tries=0
until "$slipway" status >/dev/null 2>&1; do
  kill -0 $gateway 2>/dev/null || { wait $gateway; exit 1; }
  tries=$((tries + 1))
  [ $tries -lt 1200 ] || { echo 'the gateway did not become ready within two minutes' >&2; exit 1; }
  sleep 0.1
done

if [ ! -s "$state/device" ]; then
  "$slipway" model add demo --name 'Demo board' >/dev/null
  "$slipway" device add --model demo --name 'Bench device' >"$state/device"
  "$slipway" token create --role operator --name tryout >"$state/operator"
fi
field() { sed -n "s/^$2:* *//p" "$state/$1"; }
client_id=$(field device client_id) client_secret=$(field device client_secret) operator=$(field operator token)

${GO:-go} run "$sample/pack" -code demo -o "$state/drop/.demo.zip"
mv "$state/drop/.demo.zip" "$state/drop/demo.zip"
tries=0
until "$slipway" firmware list --model demo 2>/dev/null | grep -q 1.0.0; do
  tries=$((tries + 1))
  [ $tries -lt 1200 ] || { echo 'the sample bundle was not accepted within two minutes' >&2; exit 1; }
  sleep 0.1
done

cat <<END

Slipway runs at $base (stop it with Ctrl-C). Its state is in $state, its drop folder is
$state/drop. In another terminal, from this folder:

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

END
wait $gateway
