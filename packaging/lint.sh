#!/bin/sh
# Of `make test-package`: lintian and rpmlint over every package in a folder. What they may find, and are wrong about, is
# in deb/lintian-overrides and rpm/rpmlint.toml, each with its reason; here only what depends on a build's bytes.
# usage: lint.sh FOLDER
set -eu

for command in lintian rpmlint cpio; do
  command -v "$command" >/dev/null 2>&1 || { echo "test-package: $command is not installed: apt-get install $command" >&2; exit 1; }
done
# Machine code happens to contain letters that look like misspelt words, others in each build.
lintian --allow-root --info --display-info --display-experimental --pedantic --suppress-tags spelling-error-in-binary \
  --fail-on error,warning,info,pedantic,experimental "$1"/*.deb

# rpmlint unpacks by cpio, and nfpm gives each file its absolute name: without --no-absolute-filenames the packages would be laid
# over this machine, and rpmlint would see none of their files. That it sees them, a binary that it finds static without our filters shows.
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
printf '#!/bin/sh\nexec %s --no-absolute-filenames "$@"\n' "$(command -v cpio)" >"$bin/cpio"
chmod 755 "$bin/cpio"
PATH=$bin:$PATH rpmlint --strict --config "$(dirname "$0")/rpm/rpmlint.toml" "$1"/*.rpm
for rpm in "$1"/*.rpm; do
  PATH=$bin:$PATH rpmlint "$rpm" | grep -q 'statically-linked-binary /usr/bin/slipway' || {
    echo "test-package: rpmlint does not see the files of $rpm" >&2
    exit 1
  }
done
