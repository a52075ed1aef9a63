#!/bin/sh
# Backups, against MinIO on this machine (from ./dev interop's cache), beside curl and denokv:
#   1. a snapshot's way into the bucket, and a restore, in MB/s of state, beside curl putting and getting the same objects
#   2. the initial sync of that backup: tidemark pitr sync beside denokv pitr sync
#   3. what shipping costs a primary under write load: 64 writers, without and with a backup into a folder, taking turns
#   4. at 1,000 commits/s: how long a commit takes into the bucket, and how stale a replica is
# Usage: bench/backup.sh [-b BUILD_DIR] [-n ENTRIES] [-r ROUNDS] [-s SECONDS] [-d DATA_PARENT] [-p PARTS, of 1234]
set -eu

build=build/release
entries=1000000
rounds=5
seconds=60
parent=build/bench-data
parts=1234
while getopts b:n:r:s:d:p: option; do
  case $option in
    b) build=$OPTARG ;;
    n) entries=$OPTARG ;;
    r) rounds=$OPTARG ;;
    s) seconds=$OPTARG ;;
    d) parent=$OPTARG ;;
    p) parts=$OPTARG ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done
tidemark=$(realpath "$build/tools/tidemark")
bench_net=$(realpath "$build/bench/bench_net")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tidemark-interop/bin
for program in minio denokv; do
  if [ ! -x "$cache/$program" ]; then
    echo "backup.sh: $program is not in $cache: run ./dev interop once" >&2
    exit 1
  fi
done

mkdir -p "$parent"
work=$(mktemp -d "$(realpath "$parent")/backup-XXXXXX")
servers=
clean_up() {
  for server in $servers; do kill "$server" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

export AWS_ACCESS_KEY_ID=benchmark AWS_SECRET_ACCESS_KEY=benchmark-secret AWS_REGION=us-east-1
export MINIO_ROOT_USER=$AWS_ACCESS_KEY_ID MINIO_ROOT_PASSWORD=$AWS_SECRET_ACCESS_KEY
mkdir -p "$work/minio/bench"
# Ports that the system gave out a moment ago.
free_port() { node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }
minio_port=$(free_port)
console_port=$(free_port)
"$cache/minio" server "$work/minio" --address "127.0.0.1:$minio_port" --console-address "127.0.0.1:$console_port" >"$work/minio.log" 2>&1 &
servers="$servers $!"
endpoint=http://127.0.0.1:$minio_port
for _ in $(seq 100); do
  curl -sf "$endpoint/minio/health/ready" && break
  sleep 0.1
done

od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$work/token"
now() { date +%s.%N; }
# rate NAME BYTES BEGIN END
rate() { awk -v name="$1" -v bytes="$2" -v a="$3" -v b="$4" 'BEGIN { printf "%-44s %8.1f s %8.0f MB/s\n", name, b - a, bytes / (b - a) / 1e6 }'; }
wait_for() {
  for _ in $(seq 6000); do
    grep -qs "$1" "$2" && return
    sleep 0.1
  done
  echo "backup.sh: waited in vain for '$1':" >&2
  cat "$2" >&2
  exit 1
}
# serve NAME ARG...: its log in NAME.log, its process in $server
serve() {
  name=$1
  shift
  "$tidemark" serve --data-dir "$work/$name" --addr 127.0.0.1:0 --metrics-addr off --access-token-file "$work/token" "$@" >"$work/$name.log" 2>&1 &
  server=$!
  servers="$servers $server"
}
end_server() {
  kill "$server"
  wait "$server" || true
}
s3="--s3-bucket bench --s3-prefix state/ --s3-endpoint $endpoint"

case $parts in *[12]*)
  "$tidemark" db create --data-dir "$work/state" other >"$work/log"
  "$tidemark" db delete other --now --data-dir "$work/state" >>"$work/log"
  python3 - "$entries" <<'PYTHON' | "$tidemark" load --data-dir "$work/state" --batch 5000 >>"$work/log"
import random, sys
random.seed(7)
for i in range(int(sys.argv[1])):
    print('{"key":["users",%d],"value":{"id":"%s","name":"user number %d","visits":%d}}' % (i, random.randbytes(450).hex(), i, i % 1000))
PYTHON
  begin=$(now)
  serve state --backup-to-s3 $s3
  wait_for 'snapshot of generation .* is complete' "$work/state.log"
  end=$(now)
  end_server
  # What MinIO holds, as curl gets it.
  node "$(dirname "$0")/backup_objects.mjs" "$endpoint" bench state/ >"$work/objects"
  bytes=$(awk '{ sum += $2 } END { print sum }' "$work/objects")
  count=$(wc -l <"$work/objects")
  echo "$entries entries, $((bytes / 1000000)) MB in $count objects"
  mkdir "$work/copies"
  sign="-s -f --aws-sigv4 aws:amz:us-east-1:s3 --user $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"
  [ "$parts" = "${parts#*1}" ] || rate "snapshot into the bucket" "$bytes" "$begin" "$end"
  get_begin=$(now)
  awk -v e="$endpoint/bench/" -v d="$work/copies/" '{ print "url = \"" e $1 "\"\noutput = \"" d NR "\"" }' "$work/objects" >"$work/get.conf"
  curl $sign --no-progress-meter --parallel --parallel-max 8 -K "$work/get.conf"
  get_end=$(now)
  put_begin=$(now)
  ls "$work/copies" | awk -v e="$endpoint/bench/copies/" -v d="$work/copies/" '{ print "upload-file = \"" d $1 "\"\nurl = \"" e $1 "\"" }' >"$work/put.conf"
  curl $sign --no-progress-meter --parallel --parallel-max 3 -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -K "$work/put.conf" -o /dev/null
  put_end=$(now)
  case $parts in *1*)
    rate "curl, 3 at a time, the same objects" "$bytes" "$put_begin" "$put_end"
    begin=$(now)
    "$tidemark" backup restore --to "$work/restored" $s3 >>"$work/log"
    rate "restore" "$bytes" "$begin" "$(now)"
    rate "curl, 8 at a time, into files" "$bytes" "$get_begin" "$get_end"
  esac
  case $parts in *2*)
    prefix=$(awk 'NR == 1 { sub(/snapshots\/.*/, "", $1); print $1 }' "$work/objects")
    begin=$(now)
    "$tidemark" pitr sync --data-dir "$work/synced" $s3 >>"$work/log"
    end=$(now)
    rate "initial sync, tidemark" "$bytes" "$begin" "$end"
    denokv_begin=$(now)
    "$cache/denokv" --sqlite-path "$work/denokv.db" pitr sync --s3-bucket bench --s3-prefix "$prefix" --s3-endpoint "$endpoint" >"$work/denokv.log" 2>&1
    denokv_end=$(now)
    rate "initial sync, denokv" "$bytes" "$denokv_begin" "$denokv_end"
    awk -v a="$begin" -v b="$end" -v c="$denokv_begin" -v d="$denokv_end" 'BEGIN { printf "denokv takes %.1f times as long\n", (d - c) / (b - a) }'
  esac
esac

case $parts in *3*)
  # Writes per second of 64 writers: load PORT
  load() {
    "$bench_net" --port "$1" --token-file "$work/token" write --turns 3 --turn-ms 2000 --json "$work/samples.json" >/dev/null
    node -e 'const s = JSON.parse(require("fs").readFileSync(process.argv[1])); console.log(s.rows.find((row) => row.row === "net_write" && row.store === "64_writers").median)' "$work/samples.json"
  }
  port_of() { wait_for 'Listening on' "$1"; sed -n 's/.*Listening on .*:\([0-9]*\)$/\1/p' "$1" | head -n 1; }
  mkdir "$work/folder"
  printf '%-6s %18s %18s %8s\n' round 'writes/s, alone' 'with a backup' ratio
  for round in $(seq "$rounds"); do
    serve "alone$round"
    alone=$(load "$(port_of "$work/alone$round.log")")
    end_server
    serve "backed$round" --backup-to "file://$work/folder/"
    wait_for 'is complete' "$work/backed$round.log"
    backed=$(load "$(port_of "$work/backed$round.log")")
    end_server
    awk -v r="$round" -v a="$alone" -v b="$backed" 'BEGIN { printf "%-6d %18.0f %18.0f %8.3f\n", r, a, b, b / a }' | tee -a "$work/costs"
  done
  awk '{ print $4 }' "$work/costs" | sort -n | awk '
    { value[NR] = $1 }
    END { printf "with a backup to without, median of ratios: %.3f\n",
          NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'
esac

case $parts in *4*)
  TIDEMARK_BINARY=$tidemark node "$(dirname "$0")/backup_lag.mjs" "$endpoint" bench "$seconds"
esac
