#!/bin/sh
# Makes a Slipway bundle of a build of ESP-IDF, PlatformIO, Arduino or ESPHome and pushes it. In a CI job, in the project's folder:
@LINES@
# Where a line fails the job fails: do not join them by a pipe, which would hide that the script never came.
@ABOUT_CA@
# The folder is the project's or the build's. It needs zip and curl 7.58. SLIPWAY_CA names the gateway's CA file, SLIPWAY_URL
# another gateway, SLIPWAY_ENV one of several builds in the folder (PlatformIO's environment, Arduino's board, ESPHome's node).
# SLIPWAY_VERSION names an Arduino build, whose image has only the version of the core; without it git does, as for ESP-IDF.
# A version that is there with other bytes is not replaced: raise it, or set SLIPWAY_REPLACE=true and SLIPWAY_TOKEN to an
# operator's token, as a pipeline's does not replace.
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
case ${SLIPWAY_VERSION:-} in *[!A-Za-z0-9._+~-]*) usage 'SLIPWAY_VERSION: want letters, digits and . _ + ~ -' ;; esac
case ${SLIPWAY_REPLACE:-} in '' | true | false) ;; *) usage 'SLIPWAY_REPLACE: want true or false' ;; esac
[ -z "${SLIPWAY_CA:-}" ] || [ -f "$SLIPWAY_CA" ] || usage "SLIPWAY_CA: there is no file $SLIPWAY_CA"
for tool in zip curl; do
  command -v $tool >/dev/null 2>&1 || fail "$tool is not installed"
done

# field FILE NAME prints a text member of a JSON file; paths with escapes, which only Windows writes, become plain.
field() {
  [ -f "$1" ] || return 0
  tr -d '\r' <"$1" | sed 's/","/",\
"/g; s/{"/{\
"/g' | sed -n "s/^[[:space:]]*\"$2\"[[:space:]]*:[[:space:]]*\"\\([^\"]*\\)\".*/\\1/p" | head -n 1 | sed 's/\\\\/\//g'
}
# first prints the first of the files that is there, if one is.
first() {
  for candidate; do
    if [ -f "$candidate" ]; then
      printf %s "$candidate"
      return
    fi
  done
}
is_idf() { [ -f "$1/$about" ] || [ -f "$1/flasher_args.json" ]; }
is_known() { is_idf "$1" || [ -f "$1/firmware.bin" ] || [ -n "$(first "$1"/*.ino.bin)" ]; }
# pairs prints the paths, without an ending, of which a folder has .bin and .elf.
pairs() {
  for elf in "$1"/*.elf; do
    stem=${elf%.elf}
    if [ -f "$elf" ] && [ -f "$stem.bin" ] && [ "${stem##*/}" != bootloader ]; then printf '%s\n' "$stem"; fi
  done
}

# The build's folder: the one that was named, its build/ of ESP-IDF, or the only one below it; with SLIPWAY_ENV the one of that name.
about=project_description.json
env=$(printf %s "${SLIPWAY_ENV:-}" | tr : .)
build='' name='' seen='' names='' count=0 only='' only_name=''
add() {
  is_known "$1" || [ -n "$(pairs "$1")" ] || return 0
  case "$seen" in *"|$1|"*) return 0 ;; esac
  seen="$seen|$1|" count=$((count + 1))
  add_name=$(field "$1/build.options.json" fqbn | cut -d: -f1-3 | tr : .)
  : "${add_name:=$2}"
  names="$names${names:+, }$add_name" only=$1 only_name=$add_name
  if [ -z "$build" ] && { [ "$env" = "$add_name" ] || { [ -z "$env" ] && [ "$count" = 1 ] && [ "$3" = preferred ]; }; }; then
    build=$1 name=$add_name
  fi
}
[ -d "$folder" ] || fail "$folder is no folder"
own=$(cd "$folder" && pwd)
if is_known "$folder"; then add "$folder" "${own##*/}" preferred; else add "$folder" "${own##*/}" ''; fi
if is_idf "$folder/build"; then add "$folder/build" build preferred; fi
for candidate in "$folder"/* "$folder"/build/* "$folder"/.pio/build/* "$folder"/.pioenvs/* "$folder"/.esphome/build/*/.pioenvs/* \
  "$folder"/build/*/.pioenvs/* "$folder"/*/.pioenvs/*; do
  add "$candidate" "${candidate##*/}" ''
done
# A sketch that was not exported lies in the cache of arduino-cli and the IDE.
if [ -n "$(first "$folder"/*.ino)" ]; then
  for candidate in "${TMPDIR:-/tmp}"/arduino/sketches/* "${TMPDIR:-/tmp}"/arduino_build_* "${HOME:-}"/.cache/arduino/sketches/* \
    "${HOME:-}"/Library/Caches/arduino/sketches/* "${XDG_CACHE_HOME:-/nonexistent}"/arduino/sketches/* \
    "${ARDUINO_BUILD_CACHE_PATH:-/nonexistent}"/sketches/* "${ARDUINO_DIRECTORIES_BUILDCACHE:-/nonexistent}"/sketches/*; do
    sketch=$(field "$candidate/build.options.json" sketchLocation)
    if [ -d "$sketch" ] && [ "$(cd "$sketch" && pwd -P)" = "$(cd "$folder" && pwd -P)" ]; then add "$candidate" "${candidate##*/}" ''; fi
  done
fi
if [ -z "$build" ]; then
  [ -z "$env" ] || fail "$folder has no build \"$env\"${names:+ (there are $names)}"
  [ "$count" != 0 ] || fail "$folder has no build: run idf.py build, pio run, esphome compile or arduino-cli compile --export-binaries first," \
    "or name the folder in which the .bin and the .elf lie"
  [ "$count" = 1 ] || fail "$folder has several builds (there are $names): name one with SLIPWAY_ENV"
  build=$only name=$only_name
fi

# root is the project's folder.
here=$(cd "$build" && pwd) root=$build/..
sketch=$(field "$build/build.options.json" sketchLocation)
case $here in
  */.pioenvs/*) root=$build/../.. ;;
  */.pio/build/*) root=$build/../../.. ;;
  */build/*) [ -z "$(first "$build"/../../*.ino)" ] || root=$build/../.. ;;
esac
[ ! -d "$sketch" ] || root=$sketch

# named prints a file of the build that its description names. It may have been made elsewhere, as in a container.
build_dir=$(field "$build/$about" build_dir) project=$(field "$build/$about" project_name)
named() { [ -z "$1" ] || first "$build/$1" "$1" "$build_dir/$1" "$build/${1##*/}"; }
app_bin=$(field "$build/$about" app_bin) app_elf=$(field "$build/$about" app_elf)
: "${app_bin:=${project:+$project.bin}}" "${app_elf:=${project:+$project.elf}}"
flashed=''
[ ! -f "$build/flasher_args.json" ] || flashed=$(tr -d '\r\n' <"$build/flasher_args.json" |
  sed -n 's/.*"app"[[:space:]]*:[[:space:]]*{[^}]*"file"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p')

# Image and ELF: those that it names, or else the only pair of one name. A bootloader, a partition table and what is flashed
# whole (firmware.factory.bin, NAME.ino.merged.bin) have no ELF of their name there.
image='' elf=''
for pair in "$app_bin|$app_elf" "$flashed|${flashed%.bin}.elf" 'firmware.bin|firmware.elf'; do
  image=$(named "${pair%|*}") elf=$(named "${pair#*|}")
  if [ -n "$image" ] && [ -n "$elf" ]; then break; fi
  image='' elf=''
done
if [ -z "$image" ]; then
  found=$(pairs "$build")
  case $found in
    '')
      image=$(first "$build/$app_bin" "$build/$flashed" "$build/firmware.bin" "$build"/*.ino.bin)
      [ -n "$image" ] || fail "$build has no image with its ELF: build it first"
      fail "$build has no ELF of ${image##*/}: without it no core dump of this build can be read: build it again and keep the .elf"
      ;;
    *'
'*) fail "$build has several images with their ELF:" $found "(leave one there)" ;;
  esac
  image=$found.bin elf=$found.elf
fi

# said prints the text in the image's descriptor at an offset.
said() { dd if="$image" bs=1 skip="$1" count=32 2>/dev/null | tr '\000' '\n' | head -n 1 | tr -cd 'A-Za-z0-9._+:~ -'; }
chip=''
case $(od -An -tu1 -j12 -N2 "$image" | tr -s ' ') in
  ' 0 0'*) chip=esp32 ;; ' 2 0'*) chip=esp32s2 ;; ' 5 0'*) chip=esp32c3 ;; ' 9 0'*) chip=esp32s3 ;; ' 12 0'*) chip=esp32c2 ;;
  ' 13 0'*) chip=esp32c6 ;; ' 16 0'*) chip=esp32h2 ;; ' 18 0'*) chip=esp32p4 ;; ' 20 0'*) chip=esp32c61 ;; ' 23 0'*) chip=esp32c5 ;;
  ' 25 0'*) chip=esp32h21 ;; ' 28 0'*) chip=esp32h4 ;; ' 32 0'*) chip=esp32s31 ;;
esac
arduino=''
case $(said 80)/$(said 48) in arduino-lib-builder/* | */'esp-idf: '*) arduino=yes ;; esac

# Map and sdkconfig: the build's, or for a sketch the installed core's. What was not kept is made.
map=$(first "${elf%.elf}.map" "$build/$project.map" "${image%.bin}.map" "$build"/*.map)
config=$(field "$build/$about" config_file) project_path=$(field "$build/$about" project_path)
below=${config#"$project_path"/}
settings=''
[ -z "$config" ] || settings=$(first "$config" "$folder/$below" "$root/$below")
[ -n "$settings" ] || settings=$(first "$root/sdkconfig.$name" "$build/sdkconfig" "$folder/sdkconfig" "$root/sdkconfig")
if [ -z "$settings" ] && [ -n "$arduino" ] && [ -n "$chip" ]; then
  for candidate in "${HOME:-}"/.arduino15/packages/esp32 "${HOME:-}"/Library/Arduino15/packages/esp32; do
    for core in "$candidate"/tools/esp32-arduino-libs/*/$chip "$candidate"/tools/$chip-libs/* "$candidate"/hardware/esp32/*/tools/sdk/$chip; do
      [ -f "$core/sdkconfig" ] || continue
      : "${settings:=$core/sdkconfig}"
      cmp -s "$core/sdkconfig" "$settings" || settings=/nonexistent # several cores that differ: nobody knows which
    done
  done
  candidate=${PLATFORMIO_CORE_DIR:-${HOME:-}/.platformio}/packages
  for core in "$candidate"/framework-arduinoespressif32*/$chip "$candidate"/framework-arduinoespressif32*/tools/sdk/$chip \
    "$candidate"/framework-arduinoespressif32*/tools/esp32-arduino-libs/$chip; do
    [ -f "$core/sdkconfig" ] || continue
    : "${settings:=$core/sdkconfig}"
    cmp -s "$core/sdkconfig" "$settings" || settings=/nonexistent
  done
fi

version=$(field "$build/$about" project_version) idf=$(field "$build/$about" git_revision)
: "${version:=$(said 48)}" "${idf:=$(said 144)}"
if [ -n "$arduino" ]; then
  version=${SLIPWAY_VERSION:-$(git -C "$root" describe --always --tags --dirty 2>/dev/null || :)}
  [ -n "$version" ] || fail "the image is built with the Arduino core, which gives every sketch the version \"$(said 48)\":" \
    "name this build with SLIPWAY_VERSION, or keep the sketch in git"
fi
commit=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cp "$image" "$work/$code.bin"
cp "$elf" "$work/$code.elf"
if [ -n "$map" ]; then cp "$map" "$work/$code.map"; else echo 'the build kept no map' >"$work/$code.map"; fi
if [ -f "$settings" ]; then
  cp "$settings" "$work/sdkconfig"
else
  printf '# The build kept no sdkconfig: this is what its image says.\n%s\n' "${chip:+CONFIG_IDF_TARGET=\"$chip\"}" >"$work/sdkconfig"
fi
printf '{"git_commit":"%s","idf_version":"%s","firmware_version":"%s"}\n' "$commit" "$idf" "$version" >"$work/version.json"
(cd "$work" && zip -q -X bundle.zip "$code.bin" "$code.elf" "$code.map" sdkconfig version.json)

query="?replace=${SLIPWAY_REPLACE:-false}"
[ -z "${SLIPWAY_VERSION:-}" ] || query="$query&version=$(printf %s "$SLIPWAY_VERSION" | sed 's/+/%2B/g')"

# The token goes in by standard input: every user of the machine sees the arguments of a program.
quiet='--silent --show-error'
[ ! -t 2 ] || quiet=--progress-bar
status=$(printf 'header = "Authorization: Bearer %s"\n' "$token" | curl $quiet -K - ${SLIPWAY_CA:+--cacert "$SLIPWAY_CA"} \
  --connect-timeout 30 -H 'Content-Type: application/zip' --data-binary "@$work/bundle.zip" -o "$work/answer" -w '%{http_code}' \
  "$url/api/pipeline/models/$code/firmware$query") || {
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
