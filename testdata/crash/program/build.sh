#!/bin/sh
# Builds crash.elf with Debian's gcc-riscv64-unknown-elf, runs it in QEMU until it has crashed, and writes its dump,
# core.dmp. Both are committed, in the folder above, so that the tests need neither.
set -eu
cd "$(dirname "$0")"
cross=${CROSS:-riscv64-unknown-elf-}
arch='-march=rv32imac_zicsr -mabi=ilp32'

# shellcheck disable=SC2086
"${cross}g++" $arch -O2 -g -gdwarf-5 -Wall -Wextra -Werror -std=c++17 -ffreestanding -fno-exceptions -fno-rtti \
  -fno-common -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -msmall-data-limit=0 \
  -fdebug-prefix-map="$PWD"=/crash -c crash.cpp -o crash.o
# shellcheck disable=SC2086
"${cross}gcc" $arch -c start.S -o start.o
# shellcheck disable=SC2086
"${cross}gcc" $arch -nostdlib -static -Wl,--build-id=none -Wl,--no-warn-rwx-segments -T crash.ld start.o crash.o -o ../crash.elf
chmod 644 ../crash.elf
rm crash.o start.o
go run ./take ../crash.elf ../core.dmp
