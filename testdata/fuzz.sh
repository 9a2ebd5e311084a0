#!/bin/sh
# `make fuzz`: every fuzz target of every package, one after another. usage: fuzz.sh TIME   with GO from the caller
#
# Go's fuzzer now and then ends a run that found nothing as failed: when -fuzztime is over it may see its own deadline
# before it has passed it on, and reports that as the finding (internal/fuzz, CoordinateFuzzing). Such a run says
# "context deadline exceeded" and has written no failing input; it is done again, whole, and must then pass. Everything
# else fails at once.
set -eu
cd "$(dirname "$0")/.."
: "${GO:?}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzz() { # fuzz PACKAGE TARGET TIME
  echo "fuzz $1 $2"
  "$GO" test -run '^$' -fuzz "^$2\$" -fuzztime "$3" -fuzzminimizetime 10x "$1" >"$log" 2>&1 && status=0 || status=$?
  cat "$log"
  return $status
}

overrun() { # whether the run in the log failed only by its own deadline
  grep -A 1 '^--- FAIL: Fuzz' "$log" | grep -qx '    context deadline exceeded' && ! grep -q 'Failing input' "$log"
}

for package in $("$GO" list ./pkg/...); do
  for target in $("$GO" test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
    for try in 1 2 3; do
      fuzz "$package" "$target" "$1" && break
      [ $try -lt 3 ] && overrun || exit 1
      echo "fuzz $package $target: its own deadline was its only finding; again"
    done
  done
done
