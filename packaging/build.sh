#!/bin/sh
# `make package`: the .deb and the .rpm for each architecture, the same bytes from two runs of one commit.
# usage: build.sh OUTPUT_FOLDER ARCH…   with ARCH of amd64, arm64, arm7; GO, NFPM, SBOM, LDFLAGS, VERSION from the caller
set -eu
cd "$(dirname "$0")/.."
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
stage=.build/package
: "${GO:?}" "${NFPM:?}" "${SBOM:?}" "${LDFLAGS:?}" "${VERSION:?}"

# Archives carry times: those of the commit, not of the machine.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
export CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false'
umask 022

case $VERSION in
*-*) echo "build.sh: version $VERSION: dpkg and rpm sort no version with a dash" >&2; exit 1 ;;
[0-9]*.[0-9]*.[0-9]*) export VERSION ;;
*) echo "build.sh: version $VERSION: want 1.2.3 or 1.2.3+COMMITS.gHASH" >&2; exit 1 ;;
esac

rm -rf "$stage"
mkdir -p "$stage/manual" "$stage/completions" "$stage/scripts"

$GO build -tags manual -ldflags "$LDFLAGS" -o "$stage/slipway" ./daemon
"$stage/slipway" manual "$stage/manual"
gzip -9n "$stage/manual/slipway.8" "$stage/manual/slipway.yaml.5"
for shell in bash zsh fish; do
  "$stage/slipway" completion $shell >"$stage/completions/slipway.$shell"
done
schema=$(cat "$stage/manual/SCHEMA")
for script in deb/preinst rpm/pre; do
  sed "s/@SCHEMA@/$schema/" "packaging/$script" >"$stage/scripts/${script#*/}"
done

# A package's changelog begins with its own version. Releases have an entry; what is built between two gets one here.
if ! grep -qx -e "- semver: $VERSION-1" packaging/changelog.yaml; then
  cat >"$stage/changelog.yaml" <<END
- semver: $VERSION-1
  date: $(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
  packager: Slipway maintainers <maintainers@slipway-gateway.example>
  deb:
    urgency: medium
    distributions: [stable]
  changes:
    - note: Built between releases, from the commit that slipway version names.
END
fi
cat packaging/changelog.yaml >>"$stage/changelog.yaml"

for arch in "$@"; do
  case $arch in
  arm7) goarch=arm ;;
  *) goarch=$arch ;;
  esac
  mkdir -p "$stage/$arch"
  GOARCH=$goarch GOARM=7 $GO build -ldflags "$LDFLAGS" -o "$stage/$arch/slipway" ./daemon
  GOARCH=$goarch GOARM=7 $SBOM app -json -noserial -notimestamp -licenses -main daemon -output "$stage/$arch/sbom.cdx.json" . 2>"$stage/$arch/sbom.log" ||
    { cat "$stage/$arch/sbom.log" >&2; exit 1; }
  $GO run ./packaging/sbom "$stage/$arch/sbom.cdx.json"
  for packager in deb rpm; do
    ARCH=$arch $NFPM package --config nfpm.yaml --packager $packager --target "$out/" >/dev/null
  done
done
