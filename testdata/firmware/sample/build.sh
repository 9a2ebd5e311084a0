#!/bin/sh
# Builds the sample firmware's two versions with Debian's gcc-riscv64-unknown-elf; the same compiler makes the same
# bytes wherever the checkout lies. Its output is committed, so that nobody needs the compiler.
set -eu
cd "$(dirname "$0")"
cross=${CROSS:-riscv64-unknown-elf-}

build() { # build VERSION FLAG…
  version=$1; shift
  mkdir -p "$version"
  (
    cd "$version"
    cp ../sample.c ../sample.ld .
    "${cross}gcc" -march=rv32imac -mabi=ilp32 -Og -g -gdwarf-4 -Wall -Wextra -Werror \
      -ffreestanding -fno-common -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fdebug-prefix-map="$PWD"=/sample \
      -fno-jump-tables -msmall-data-limit=0 -DVERSION="\"$version\"" "$@" -c sample.c -o sample.o
    "${cross}gcc" -march=rv32imac -mabi=ilp32 -nostdlib -static -Wl,--build-id=none -Wl,--no-warn-rwx-segments \
      -Wl,-Map=sample.map -T sample.ld sample.o -o sample.elf
    chmod 644 sample.elf
    rm sample.c sample.ld sample.o
  )
}

build 1.0.0 -DFAULTY
build 1.1.0
