#!/bin/sh
# Makes a Slipway bundle of an ESP-IDF build folder and pushes it.
#   curl -s @BASE_URL@/api/pipeline/upload.sh | SLIPWAY_TOKEN=… sh -s MODEL_CODE [PROJECT_FOLDER]
# It needs zip and curl. SLIPWAY_CA names the gateway's CA file, SLIPWAY_URL another gateway, SLIPWAY_REPLACE=true
# replaces a version that is there with other bytes.
set -eu

fail() { echo "upload: $*" >&2; exit 1; }

code=${1:-} project=${2:-.}
url=${SLIPWAY_URL:-@BASE_URL@}
[ -n "$code" ] || fail 'name the model: upload.sh MODEL_CODE [PROJECT_FOLDER]'
[ -n "${SLIPWAY_TOKEN:-}" ] || fail 'set SLIPWAY_TOKEN to a token with the role pipeline'
for tool in zip curl; do
  command -v $tool >/dev/null 2>&1 || fail "$tool is not installed"
done

build=$project/build
[ -f "$build/project_description.json" ] || fail "$build is no ESP-IDF build folder: run idf.py build first"
field() { sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\"\\([^\"]*\\)\".*/\\1/p" "$build/project_description.json" | head -n 1; }
name=$(field project_name)
version=$(field project_version)
[ -n "$name" ] || fail "$build/project_description.json names no project"

idf=$(sed -n 's/^#define[[:space:]]*IDF_VER[[:space:]]*"\(.*\)"/\1/p; s/^IDF_VER:.*=\(.*\)/\1/p' "$build/config/sdkconfig.h" "$build/CMakeCache.txt" 2>/dev/null | head -n 1)
[ -n "$idf" ] || idf=$(sed -n 's/^#.*(ESP-IDF) \(.*\) Project Configuration/\1/p' "$project/sdkconfig" | head -n 1)
commit=$(git -C "$project" rev-parse HEAD 2>/dev/null || echo unknown)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for kind in bin elf map; do
  [ -f "$build/$name.$kind" ] || fail "$build/$name.$kind is missing"
  cp "$build/$name.$kind" "$work/$code.$kind"
done
[ -f "$project/sdkconfig" ] || fail "$project/sdkconfig is missing"
cp "$project/sdkconfig" "$work/sdkconfig"
printf '{"git_commit":"%s","idf_version":"%s","firmware_version":"%s"}\n' "$commit" "$idf" "$version" >"$work/version.json"
(cd "$work" && zip -q -X bundle.zip "$code.bin" "$code.elf" "$code.map" sdkconfig version.json)

curl --silent --show-error --fail-with-body ${SLIPWAY_CA:+--cacert "$SLIPWAY_CA"} \
  -H "Authorization: Bearer $SLIPWAY_TOKEN" -H 'Content-Type: application/zip' --data-binary "@$work/bundle.zip" \
  "$url/api/pipeline/models/$code/firmware${SLIPWAY_REPLACE:+?replace=$SLIPWAY_REPLACE}" || fail 'the gateway did not accept the bundle'
echo
