#!/usr/bin/env bash
# Runs the packages' tests where an int has 32 bits: as 386, which most amd64 kernels run as they are. Where one refuses, as
# armv7 under Debian's qemu-user-static: as root the kernel is told to hand such programs to it until the tests have ended, for
# some start themselves as another process. The emulator knows neither the limits that the decode worker gives itself nor all
# of the catalog's and the doors' calls: of these four packages the tests are compiled and not run there. test-emulated has the
# whole gateway do its job.
set -euo pipefail

export GOARCH=386 GOARM=7 CGO_ENABLED=0
folder=/proc/sys/fs/binfmt_misc
name=slipway-int32
probe=$(mktemp -d)
mounted=
trap 'rm -rf "$probe"; [ ! -e $folder/$name ] || echo -1 >$folder/$name; [ -z "$mounted" ] || umount $folder' EXIT
printf 'package main\n\nfunc main() {}\n' >"$probe/main.go"

runs() { "${GO:-go}" build -o "$probe/main" "$probe/main.go" && "$probe/main" 2>/dev/null; }

beyond='^$'
if ! runs; then
  GOARCH=arm
  beyond='/pkg/(catalog|decoding|endpoint|gateway)$'
  if ! runs; then
    if [ ! -e $folder/register ]; then
      mount -t binfmt_misc binfmt_misc $folder
      mounted=yes
    fi
    emulator=$(command -v qemu-arm-static) || { echo "this kernel runs no programs of 32 bits, and qemu-arm-static is not here: apt-get install qemu-user-static" >&2; exit 1; }
    printf '%s' ":$name:M::\x7f\x45\x4c\x46\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x28\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:$emulator:F" >$folder/register
    runs
  fi
fi
echo "int has 32 bits: $GOARCH"
"${GO:-go}" vet ./pkg/...
"${GO:-go}" list ./pkg/... | grep -Ev "$beyond" | xargs "${GO:-go}" test -timeout 60m
