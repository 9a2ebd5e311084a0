#!/bin/sh
# Makes a Slipway bundle of an ESP-IDF build and pushes it. In a CI job, in the project's folder:
@LINES@
# Where a line fails the job fails: do not join them by a pipe, which would hide that the script never came.
@ABOUT_CA@
# FOLDER is the project's or the build's. It needs zip and curl 7.58. SLIPWAY_CA names the gateway's CA file, SLIPWAY_URL
# another gateway. A version that is there with other bytes is not replaced: raise it, or set SLIPWAY_REPLACE=true and
# SLIPWAY_TOKEN to an operator's token, as a pipeline's does not replace.
# It ends with 0 where the gateway has the build, with 1 where it does not, with 2 where it was called wrongly.
{ # read to its end before it starts: half a script must not do half of it
set -eu

fail() { echo "upload: $*" >&2; exit 1; }
usage() { echo "upload: $*" >&2; exit 2; }

code=${1:-} folder=${2:-.}
url=${SLIPWAY_URL:-@BASE_URL@}
[ -n "$code" ] || usage 'name the model: upload.sh MODEL_CODE [FOLDER]'
[ $# -le 2 ] || usage 'want a model and a folder, no more'
token=$(printf %s "${SLIPWAY_TOKEN:-}" | tr -d '\r\n')
[ -n "$token" ] || usage "set SLIPWAY_TOKEN to a token of the model: slipway token create --role pipeline --model $code"
case $token in *[!A-Za-z0-9._~+/=-]*) usage 'SLIPWAY_TOKEN contains characters that are not valid in a token' ;; esac
case ${SLIPWAY_REPLACE:-} in '' | true | false) ;; *) usage 'SLIPWAY_REPLACE: want true or false' ;; esac
[ -z "${SLIPWAY_CA:-}" ] || [ -f "$SLIPWAY_CA" ] || usage "SLIPWAY_CA: there is no file $SLIPWAY_CA"
for tool in zip curl; do
  command -v $tool >/dev/null 2>&1 || fail "$tool is not installed"
done

# The build folder: the one that was named, its build/, or the only one in it.
about=project_description.json build=
for candidate in "$folder" "$folder/build"; do
  if [ -z "$build" ] && [ -f "$candidate/$about" ]; then build=$candidate; fi
done
if [ -z "$build" ]; then
  for candidate in "$folder"/*/$about "$folder"/.pio/build/*/$about; do
    [ -f "$candidate" ] || continue
    [ -z "$build" ] || fail "$folder has several builds, such as $build and ${candidate%/*}: name the one to push"
    build=${candidate%/*}
  done
fi
[ -n "$build" ] || fail "$folder has no ESP-IDF build ($about): run idf.py build first"

# field prints a member of it; paths with escapes, which only Windows writes, become plain.
field() {
  tr -d '\r' <"$build/$about" | sed 's/","/",\
"/g; s/{"/{\
"/g' | sed -n "s/^[[:space:]]*\"$1\"[[:space:]]*:[[:space:]]*\"\\([^\"]*\\)\".*/\\1/p" | head -n 1 | sed 's/\\\\/\//g'
}
# said prints the text in the image's descriptor at an offset.
said() { dd if="$image" bs=1 skip="$1" count=32 2>/dev/null | tr '\000' '\n' | head -n 1 | tr -cd 'A-Za-z0-9._+ -'; }

# find prints the first of the files that is there. A build may have been made elsewhere: in a container, under another name.
find_file() {
  what=$1
  shift
  for candidate; do
    if [ -f "$candidate" ]; then
      printf %s "$candidate"
      return
    fi
  done
  fail "$build has no $what: looked for $*"
}
name=$(field project_name) app_bin=$(field app_bin) app_elf=$(field app_elf) settings=$(field config_file)
: "${app_bin:=$name.bin}" "${app_elf:=$name.elf}"
build_dir=$(field build_dir) project_path=$(field project_path)
image=$(find_file image "$build/$app_bin" "$app_bin" "$build_dir/$app_bin" "$build/${app_bin##*/}")
elf=$(find_file ELF "$build/$app_elf" "$app_elf" "$build_dir/$app_elf" "$build/${app_elf##*/}")
map=$(find_file map "${elf%.elf}.map" "$build/$name.map" "$build/${app_bin%.bin}.map" "$build"/*.map)
below=${settings#"$project_path"/}
settings=$(find_file sdkconfig "$settings" "$folder/$below" "$build/../$below" "$folder/sdkconfig" "$build/../sdkconfig" "$build/sdkconfig")

version=$(field project_version) idf=$(field git_revision)
: "${version:=$(said 48)}" "${idf:=$(said 144)}"
commit=$(git -C "${settings%/*}" rev-parse HEAD 2>/dev/null || git -C "$build" rev-parse HEAD 2>/dev/null || echo unknown)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cp "$image" "$work/$code.bin"
cp "$elf" "$work/$code.elf"
cp "$map" "$work/$code.map"
cp "$settings" "$work/sdkconfig"
printf '{"git_commit":"%s","idf_version":"%s","firmware_version":"%s"}\n' "$commit" "$idf" "$version" >"$work/version.json"
(cd "$work" && zip -q -X bundle.zip "$code.bin" "$code.elf" "$code.map" sdkconfig version.json)

# The token goes in by standard input: every user of the machine sees the arguments of a program.
quiet='--silent --show-error'
[ ! -t 2 ] || quiet=--progress-bar
status=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | curl $quiet -K - ${SLIPWAY_CA:+--cacert "$SLIPWAY_CA"} \
  --connect-timeout 30 -H 'Content-Type: application/zip' --data-binary "@$work/bundle.zip" -o "$work/answer" -w '%{http_code}' \
  "$url/api/pipeline/models/$code/firmware${SLIPWAY_REPLACE:+?replace=$SLIPWAY_REPLACE}") || {
  case $? in
    60 | 77) fail "$url was not reached: nothing is pushed. Its certificate is not trusted: set SLIPWAY_CA to the gateway's ca.crt" ;;
    *) fail "$url was not reached: nothing is pushed" ;;
  esac
}

# answered prints a text of the gateway's answer.
answered() { sed -n "s/^{\\(.*[^\\\\]\\)\\{0,1\\}\"$1\":\"\\(\\([^\"\\\\]\\|\\\\.\\)*\\)\".*/\\2/p" "$work/answer" | sed 's/\\"/"/g' | head -n 1; }
[ -f "$work/answer" ] || : >"$work/answer"
if [ "$status" != 200 ]; then
  why=$(answered error)
  fail "the gateway did not accept the bundle ($status): ${why:-$(head -c 300 "$work/answer")}"
fi
grep -q '"code":"'"$code"'"' "$work/answer" && grep -q '"firmware_version":"' "$work/answer" ||
  fail "$url answers 200, but not as a Slipway gateway does: nothing is pushed"
taken=$(sed -n 's/^{"code":"[^"]*","firmware_version":"\([^"]*\)".*/\1/p' "$work/answer")
sed -n 's/.*"warnings":\["\(.*\)"\],"build":.*/\1/p' "$work/answer" | sed 's/\([^\\]\)","/\1\
/g' | sed 's/\\"/"/g; s/^/upload: warning: /' >&2
if grep -q '"changed":false' "$work/answer"; then
  echo "$code $taken is there already, nothing changed"
elif grep -q '"published":true' "$work/answer"; then
  echo "$code $taken pushed, devices are offered it now"
else
  echo "$code $taken pushed; devices are offered it once it is published"
fi
exit 0
}
