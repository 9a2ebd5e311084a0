#!/bin/sh
# `make fuzz`: every fuzz target of every package, one after another. usage: fuzz.sh TIME   with GO from the caller
#
# A package's program is built once for all its targets, and only where a test file has one: `go test -fuzz` links it
# anew for each. It runs in the package's folder, for the seeds, and keeps what it found where `go test` does.
#
# Go's fuzzer now and then ends a run that found nothing as failed: when -fuzztime is over it may see its own deadline
# before it has passed it on, and reports that as the finding (internal/fuzz, CoordinateFuzzing). Such a run says
# "context deadline exceeded" and has written no failing input; it is done again, whole, and must then pass. Everything
# else fails at once.
set -eu
cd "$(dirname "$0")/.."
: "${GO:?}"
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
log=$made/log
found=$("$GO" env GOCACHE)/fuzz

fuzz() { # fuzz PACKAGE FOLDER TARGET TIME
  echo "fuzz $1 $3"
  (cd "$2" && "$made/fuzz.test" -test.paniconexit0 -test.timeout 10m -test.run '^$' -test.fuzz "^$3\$" \
    -test.fuzztime "$4" -test.fuzzminimizetime 10x -test.fuzzcachedir "$found/$1" </dev/null) >"$log" 2>&1 &&
    status=0 || status=$?
  cat "$log"
  ! grep -q 'not built with coverage instrumentation' "$log" || status=1 # it would fuzz blindly, and pass
  return $status
}

overrun() { # whether the run in the log failed only by its own deadline
  grep -A 1 '^--- FAIL: Fuzz' "$log" | grep -qx '    context deadline exceeded' && ! grep -q 'Failing input' "$log"
}

"$GO" list -f '{{.ImportPath}} {{.Dir}}' ./pkg/... >"$made/packages"
while read -r package folder; do
  grep -qs '^func Fuzz' "$folder"/*_test.go || continue
  "$GO" test -c -fuzz . -o "$made/fuzz.test" "$package"
  (cd "$folder" && "$made/fuzz.test" -test.list '^Fuzz') >"$made/targets"
  for target in $(grep '^Fuzz' "$made/targets"); do
    for try in 1 2 3; do
      fuzz "$package" "$folder" "$target" "$1" && break
      [ $try -lt 3 ] && overrun || exit 1
      echo "fuzz $package $target: its own deadline was its only finding; again"
    done
  done
done <"$made/packages"
