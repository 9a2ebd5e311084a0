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

# As dpkg and rpm sort them: v1.2.3-4-gabc123, four commits after v1.2.3, becomes 1.2.3+4.gabc123; what comes before any
# tag is 0.0.0.
VERSION=$(printf %s "$VERSION" | sed -e 's/^v//' -e 's/-\([0-9]\{1,\}\)-g\([0-9a-f]*\)/+\1.g\2/' -e 's/-dirty/.dirty/')
case $VERSION in
[0-9]*.[0-9]*.[0-9]*) ;;
*) VERSION=0.0.0+g$VERSION ;;
esac
export VERSION

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
    - note: Built between releases, from the commit that slipway version tells.
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
  for packager in deb rpm; do
    ARCH=$arch $NFPM package --config nfpm.yaml --packager $packager --target "$out/" >/dev/null
  done
done
