#!/bin/sh
# curl against a gateway: BASE ID SECRET PATH FOLDER. Prints the status of each request.
set -eu
base=$1 id=$2 secret=$3 path=$4 out=$5
ask() { file=$1; shift; curl -sS -o "$file" -w '%{http_code} ' "$@"; }
ask "$out/whole" -D "$out/head" -u "$id:$secret" "$base/api/iot/firmware"
etag=$(sed -n 's/^[Ee][Tt]ag: *//p' "$out/head" | tr -d '\r')
head -c 10000 "$out/whole" > "$out/resumed"
curl -sS -C - -o "$out/resumed" -w '%{http_code} ' -u "$id:$secret" "$base/api/iot/firmware"
ask "$out/none" -u "$id:$secret" -r 99999999- "$base/api/iot/firmware"
ask "$out/none" -u "$id:$secret" -H "If-None-Match: $etag" "$base/api/iot/firmware"
ask "$out/none" -u "$id:wrong" "$base/api/iot/firmware"
ask "$out/manifest" -u "$id:$secret" "$base/api/iot/manifest.json"
ask "$out/none" -u "$id:$secret" --data-binary "a dump by curl" "$base/api/iot/coredump?chip=esp32c3&firmware_version=1.0.0"
ask "$out/below" "$base$path/api/iot/firmware"
