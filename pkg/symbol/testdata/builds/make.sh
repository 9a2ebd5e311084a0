#!/bin/sh
# Makes the programs of this folder anew: small ones, with what a test needs of a compiler's debug information.
# Debian 12: gcc-riscv64-unknown-elf 12.2, binutils-riscv64-unknown-elf 2.40, clang 14, lld 14, llvm 14.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
common="-g -ffreestanding -fno-exceptions -fdebug-prefix-map=$PWD=/src/pump"
gcc="riscv64-unknown-elf-g++ -march=rv32imc -mabi=ilp32 -nostdlib $common"
clang="clang++ --target=riscv32-unknown-elf -march=rv32imc $common"

pack() { gzip -9n <"$work/out" >"$1.elf.gz"; }

for o in Og O2; do
	$gcc -$o -Wl,-e,main lambdas.cpp -o "$work/out" && pack "lambdas-gcc-$o"
	$clang -$o -c lambdas.cpp -o "$work/o" && ld.lld -e panic_abort "$work/o" -o "$work/out" && pack "lambdas-clang-$o"
done

# What people do to an ELF: debug information only, compressed, in other files, gone.
cp lambdas.cpp "$work/pump.cpp"
base="-Og -Wl,-e,main"
riscv64-unknown-elf-g++ -march=rv32imc -mabi=ilp32 -nostdlib -g -ffreestanding -fno-exceptions -fdebug-prefix-map="$work"=/src/pump \
	$base "$work/pump.cpp" -o "$work/whole"
for way in --only-keep-debug --compress-debug-sections=zstd --compress-debug-sections=zlib --strip-debug; do
	riscv64-unknown-elf-objcopy $way "$work/whole" "$work/out" && pack "objcopy${way##*=}"
done
(cd "$work" && for v in 4 5; do
	riscv64-unknown-elf-g++ -march=rv32imc -mabi=ilp32 -nostdlib -g -gdwarf-$v -gsplit-dwarf -ffreestanding -fno-exceptions \
		-fdebug-prefix-map="$work"=/src/pump -Og -c pump.cpp -o pump.o
	riscv64-unknown-elf-g++ -march=rv32imc -mabi=ilp32 -nostdlib -Wl,-e,main pump.o -o split-$v
done)
for v in 4 5; do cp "$work/split-$v" "$work/out" && pack "split-$v"; done
