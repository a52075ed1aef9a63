#!/bin/sh
# Measures the server over the network, on this machine alone:
#   1. 64 writers on one HTTP/2 connection against one writer, every write synced (bench_net write)
#   2. point reads under h2load, against a null server that gives an answer of the same size (bench/null_server),
#      taking turns; prints requests per second and the median of the ratios
# Usage: bench/net.sh [-b BUILD_DIR] [-r ROUNDS] [-s SECONDS] [-c CONNECTIONS] [-m STREAMS] [-d DATA_PARENT]
set -eu

build=build/release
rounds=5
seconds=4
connections=8
streams=32
parent=build/bench-data
while getopts b:r:s:c:m:d: option; do
  case $option in
    b) build=$OPTARG ;;
    r) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    c) connections=$OPTARG ;;
    m) streams=$OPTARG ;;
    d) parent=$OPTARG ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done

# An executable of the build, wherever in its tree it lies.
find_program() {
  for at in "$build/$1" "$build/bench/$1" "$build/tools/$1"; do
    if [ -x "$at" ] && [ -f "$at" ]; then
      echo "$at"
      return
    fi
  done
  echo "net.sh: no $1 in $build" >&2
  exit 1
}

tidemark=$(find_program tidemark)
null_server=$(find_program null_server)
bench_net=$(find_program bench_net)
if ! command -v h2load >/dev/null; then
  echo "net.sh: h2load is missing (package nghttp2-client)" >&2
  exit 1
fi

mkdir -p "$parent"
work=$(mktemp -d "$parent/net-XXXXXX")
server=
null=
clean_up() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$null" ] || kill "$null" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# The port that a server says it listens on, once it does: port_of LOG PID
port_of() {
  for _ in $(seq 100); do
    port=$(sed -n 's/.*[Ll]istening on .*:\([0-9][0-9]*\).*/\1/p' "$1" | head -n 1)
    if [ -n "$port" ]; then
      echo "$port"
      return
    fi
    if ! kill -0 "$2" 2>/dev/null; then
      break
    fi
    sleep 0.1
  done
  echo "net.sh: a server did not start:" >&2
  cat "$1" >&2
  exit 1
}

# Requests per second of one turn: load PORT
load() {
  set -- "http://127.0.0.1:$1$(cat "$work/read/path")"
  while IFS= read -r line; do
    set -- "$@" -H "$line"
  done <"$work/read/headers"
  h2load -D "$seconds" --warm-up-time=1 -t 1 -c "$connections" -m "$streams" -d "$work/read/request" "$@" \
    >"$work/h2load.log" 2>&1 || { cat "$work/h2load.log" >&2; exit 1; }
  if ! grep -q ' 0 failed, 0 errored, 0 timeout' "$work/h2load.log" ||
    ! grep -q 'status codes: [1-9][0-9]* 2xx, 0 3xx, 0 4xx, 0 5xx' "$work/h2load.log"; then
    echo "net.sh: not every request was answered with 200:" >&2
    cat "$work/h2load.log" >&2
    exit 1
  fi
  sed -n 's/^finished in .*, \([0-9.]*\) req\/s.*/\1/p' "$work/h2load.log"
}

od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$work/token"
mkdir "$work/data"
: >"$work/server.log"
: >"$work/null.log"
"$tidemark" serve --data-dir "$work/data" --addr 127.0.0.1:0 --access-token-file "$work/token" \
  >"$work/server.log" 2>&1 &
server=$!
server_port=$(port_of "$work/server.log" "$server")

"$bench_net" --port "$server_port" --token-file "$work/token" write --turns "$rounds"
"$bench_net" --port "$server_port" --token-file "$work/token" prepare --out "$work/read"

# Port 0: a free one; as many event loops as the server has by default; an answer of the same size.
"$null_server" 0 "$(nproc)" "$(wc -c <"$work/read/answer")" >"$work/null.log" 2>&1 &
null=$!
null_port=$(port_of "$work/null.log" "$null")

echo
printf '%-6s %16s %16s %8s\n' round 'server req/s' 'null req/s' ratio
round=1
while [ "$round" -le "$rounds" ]; do
  own=$(load "$server_port")
  bare=$(load "$null_port")
  awk -v r="$round" -v own="$own" -v bare="$bare" \
    'BEGIN { printf "%-6d %16.0f %16.0f %8.3f\n", r, own, bare, own / bare }' | tee -a "$work/ratios"
  round=$((round + 1))
done
awk '{ print $4 }' "$work/ratios" | sort -n | awk '
  { value[NR] = $1 }
  END { printf "point reads, server to null server, median of ratios: %.3f\n",
        NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'
