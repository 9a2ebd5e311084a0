#!/bin/sh
# `make test-boot`: installs the packages on a real systemd, in a box made of namespaces, and plays an operator's years
# with them. It installs what it needs; where namespaces cannot be had it says so and ends with 3, as nothing was tested.
# usage: test-boot.sh GO MAKE   on Debian, as root
set -eu
cd "$(dirname "$0")/.."
go=$1 make=$2

if [ "$(id -u)" != 0 ]; then
  echo 'test-boot: cannot run here: it needs root, for a systemd of its own in namespaces' >&2
  exit 3
fi
if ! unshare --mount --pid --net --uts --ipc --cgroup --fork true; then
  echo 'test-boot: cannot run here: this machine does not let root make namespaces' >&2
  exit 3
fi

missing=
for need in systemd-nspawn=systemd-container mmdebstrap=mmdebstrap nsenter=util-linux rpm=rpm; do
  command -v "${need%=*}" >/dev/null 2>&1 || missing="$missing ${need#*=}"
done
if [ -n "$missing" ]; then
  echo "test-boot: installing$missing"
  apt-get -qq update
  # shellcheck disable=SC2086 # a list of words
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
fi

# A Debian as a tar, made once per checkout out of the machine's own package sources, so that no address is written down.
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
include=systemd,systemd-sysv,dbus,init-system-helpers,udev,iproute2,procps,curl,ca-certificates,rpm
root=$PWD/.cache/box/$release-$(printf %s $include | sha256sum | cut -c 1-12).tar
if ! [ -e "$root" ]; then
  mkdir -p .cache/box
  sources=/etc/apt/sources.list
  [ -s $sources ] || sources=/etc/apt/sources.list.d/debian.sources
  began=$(date +%s)
  mmdebstrap --quiet --variant=apt --include=$include "$release" "$root.part.tar" "$sources"
  mv "$root.part.tar" "$root"
  echo "test-boot: a root file system of $release made in $(($(date +%s) - began)) s"
fi

# An old and a new package of this very tree, for the upgrade.
for version in 0.9.0 0.9.1; do
  $make --no-print-directory package VERSION=$version PACKAGE_ARCHES="$($go env GOARCH)" PACKAGE_OUT="$PWD/.build/boot/$version"
done

SLIPWAY_BOX_ROOT=$root SLIPWAY_BOX_PACKAGES=$PWD/.build/boot \
  $go test -tags boot -count=1 -timeout 60m -v -run '^TestBox' ./packaging
