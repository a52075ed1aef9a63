#!/bin/sh
# Counts the instructions of reads at head, of a store whose keys have one version and of one whose keys have many,
# all of which are kept (bench_counted under callgrind). What a read costs is the difference of two runs, one of which
# reads ten times as much, so that opening and warming do not count.
# Usage: bench/counted.sh [-b BUILD_DIR] [-e ENTRIES] [-v VERSIONS] [-d DATA_PARENT]
set -eu

build=build/release
entries=50000
versions=100
parent=build/bench-data
while getopts b:e:v:d: option; do
  case $option in
    b) build=$OPTARG ;;
    e) entries=$OPTARG ;;
    v) versions=$OPTARG ;;
    d) parent=$OPTARG ;;
    *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
program=$build/bench/bench_counted
if ! command -v valgrind >/dev/null; then
  echo "counted.sh: valgrind is missing (package valgrind)" >&2
  exit 1
fi

mkdir -p "$parent"
work=$(mktemp -d "$parent/counted-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# Instructions of a run: count STORE --gets|--scans N
count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" read "$work/$1" --entries "$entries" "$2" "$3" \
    >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  sed -n 's/.*Collected : \([0-9][0-9]*\).*/\1/p' "$work/log"
}

# Of one read: each STORE --gets|--scans FEW
each() {
  few=$(count "$1" "$2" "$3")
  many=$(count "$1" "$2" $(($3 * 10)))
  echo $(((many - few) / ($3 * 9)))
}

"$program" make "$work/one" --entries "$entries" --versions 1
"$program" make "$work/many" --entries "$entries" --versions "$versions"
# Opened once before, so that both manifests are as short as they get.
for store in one many; do "$program" read "$work/$store" --entries "$entries" --gets 1; done
printf '%-16s %12s %12s %8s\n' 'instructions' '1 version' "$versions versions" ratio
for what in gets scans; do
  few=20000
  [ $what = gets ] || few=500
  one=$(each one --$what $few)
  many=$(each many --$what $few)
  awk -v what="one of the $what" -v one="$one" -v many="$many" \
    'BEGIN { printf "%-16s %12d %12d %8.3f\n", what, one, many, many / one }'
done
