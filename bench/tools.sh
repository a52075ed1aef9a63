#!/bin/sh
# How fast fsck and dump go through a store, beside reading its files with cat, in turns; cold (the system's cache is
# dropped, for which root is needed) and warm. Prints MB of files a second, and the median of the ratios.
# Usage: bench/tools.sh [-b BUILD_DIR] [-n ENTRIES] [-r ROUNDS] [-d DATA_PARENT]
set -eu

build=build/release
entries=2000000
rounds=5
parent=build/bench-data
while getopts b:n:r:d: option; do
  case $option in
    b) build=$OPTARG ;;
    n) entries=$OPTARG ;;
    r) rounds=$OPTARG ;;
    d) parent=$OPTARG ;;
    *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
tidemark=$build/tools/tidemark

mkdir -p "$parent"
work=$(mktemp -d "$parent/tools-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# Values as programs have them: an object with a number, a few words and what does not compress.
"$tidemark" db create --data-dir "$work/data" bench >"$work/log"
awk -v n="$entries" 'BEGIN {
  srand(7)
  for (i = 0; i < n; i++) {
    id = ""
    for (c = 0; c < 12; c++) id = id sprintf("%08x", int(rand() * 4294967296))
    printf "{\"key\":[\"users\",%d],\"value\":{\"id\":\"%s\",\"name\":\"user number %d\",\"active\":true,\"visits\":%d}}\n", i, id, i, int(rand() * 1000)
  }
}' | "$tidemark" load --data-dir "$work/data" --database bench --batch 5000 >>"$work/log"
"$tidemark" compact --data-dir "$work/data" --database bench >>"$work/log" || { cat "$work/log" >&2; exit 1; }
bytes=$(find "$work/data" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
echo "$entries entries, $((bytes / 1000000)) MB of files"

now() { date +%s.%N; }
# Seconds that a command takes: seconds COLD COMMAND...
seconds() {
  if [ "$1" = cold ]; then
    sync
    echo 3 >/proc/sys/vm/drop_caches
  fi
  shift
  begun=$(now)
  "$@" >"$work/out" 2>&1 || { tail -n 5 "$work/out" >&2; exit 1; }
  awk -v a="$begun" -v b="$(now)" 'BEGIN { print b - a }'
}
read_all() { find "$work/data" -type f -exec cat {} + >/dev/null; }
dump_all() { "$tidemark" dump --data-dir "$work/data" --database bench >/dev/null; }

kinds=warm
[ -w /proc/sys/vm/drop_caches ] && kinds='cold warm'
printf '%-6s %14s %14s %14s %14s   MB/s (median)\n' '' cat fsck 'fsck --deep' dump
for kind in $kinds; do
  : >"$work/turns"
  [ "$kind" = cold ] || read_all
  round=0
  while [ "$round" -lt "$rounds" ]; do
    a=$(seconds "$kind" read_all)
    b=$(seconds "$kind" "$tidemark" fsck --data-dir "$work/data")
    c=$(seconds "$kind" "$tidemark" fsck --deep --data-dir "$work/data")
    d=$(seconds "$kind" dump_all)
    echo "$a $b $c $d" >>"$work/turns"
    round=$((round + 1))
  done
  for column in 1 2 3 4; do
    awk -v c="$column" '{ print $c, $1 / $c }' "$work/turns" | sort -n | awk -v mb="$((bytes / 1000000))" '
      { s[NR] = $1; r[NR] = $2 } END { m = int((NR + 1) / 2); printf "%d(%.2f) ", mb / s[m], r[m] }'
  done | awk -v kind="$kind" '{ printf "%-6s %14s %14s %14s %14s\n", kind, $1, $2, $3, $4 }'
done
echo "in brackets: against cat in the same turn"
