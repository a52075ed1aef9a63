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
# So that nobody waits for the disk because of what another one has written.
settled_now() { sync; now; }
seconds() { awk -v a="$1" -v b="$2" 'BEGIN { print b - a }'; }
# rate NAME BYTES SECONDS
rate() { awk -v name="$1" -v bytes="$2" -v s="$3" 'BEGIN { printf "%-44s %8.1f s %8.0f MB/s\n", name, s, bytes / s / 1e6 }'; }
# median NAME: of the ratios in the input
median() {
  sort -n | awk -v name="$1" '
    { value[NR] = $1 }
    END { printf "%s, median of ratios: %.3f\n", name, NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2 }'
}
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

case $parts in *[12]*)
  "$tidemark" db create --data-dir "$work/state" other >"$work/log"
  "$tidemark" db delete other --now --data-dir "$work/state" >>"$work/log"
  python3 - "$entries" <<'PYTHON' | "$tidemark" load --data-dir "$work/state" --batch 5000 >>"$work/log"
import random, sys
random.seed(7)
for i in range(int(sys.argv[1])):
    print('{"key":["users",%d],"value":{"id":"%s","name":"user number %d","visits":%d}}' % (i, random.randbytes(450).hex(), i, i % 1000))
PYTHON
  # A snapshot of it, and what MinIO holds then, as curl gets it: in $bytes, $count, $work/objects and
  # $prefix, and the time in $took.
  snapshot() {
    rm -rf "$work/copy"
    cp -r "$work/state" "$work/copy"
    begin=$(settled_now)
    serve copy --backup-to-s3 --s3-bucket bench --s3-prefix "state$1/" --s3-endpoint "$endpoint"
    wait_for 'snapshot of generation .* is complete' "$work/copy.log"
    took=$(seconds "$begin" "$(now)")
    end_server
    node "$(dirname "$0")/backup_objects.mjs" "$endpoint" bench "state$1/" >"$work/objects"
    bytes=$(awk '{ sum += $2 } END { print sum }' "$work/objects")
    count=$(wc -l <"$work/objects")
    prefix=$(awk 'NR == 1 { sub(/snapshots\/.*/, "", $1); print $1 }' "$work/objects")
  }
  # timed COMMAND...: how long it takes, and what it wrote to the disk, in $took
  timed() {
    begin=$(settled_now)
    "$@" >>"$work/log"
    sync
    took=$(seconds "$begin" "$(now)")
  }
  sign="-s -f --aws-sigv4 aws:amz:us-east-1:s3 --user $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY --no-progress-meter"
  curl_get() { curl $sign --parallel --parallel-max 8 -K "$work/get.conf"; }
  curl_put() { curl $sign --parallel --parallel-max 3 -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -K "$work/put.conf" -o /dev/null; }
  case $parts in *1*)
    # Each removes what the one before it wrote: memory that was not used for long is dear on a virtual machine.
    printf '%-6s %22s %22s %22s %22s\n' 'MB/s' 'snapshot to the bucket' 'curl, 3 at a time' 'restore' 'curl, 8, synced files'
    for round in $(seq "$rounds"); do
      snapshot "$round"
      took_snapshot=$took
      mkdir "$work/copies"
      awk -v e="$endpoint/bench/" -v d="$work/copies/" '{ print "url = \"" e $1 "\"\noutput = \"" d NR "\"" }' "$work/objects" >"$work/get.conf"
      timed curl_get
      took_get=$took
      ls "$work/copies" | awk -v e="$endpoint/bench/copies/" -v d="$work/copies/" '{ print "upload-file = \"" d $1 "\"\nurl = \"" e $1 "\"" }' >"$work/put.conf"
      timed curl_put
      took_put=$took
      rm -rf "$work/copies" "$work/minio/bench/copies"
      timed "$tidemark" backup restore --to "$work/restored" --s3-bucket bench --s3-prefix "state$round/" --s3-endpoint "$endpoint"
      rm -rf "$work/restored" "$work/minio/bench/state$round"
      awk -v r="$round" -v n="$bytes" -v a="$took_snapshot" -v b="$took_put" -v c="$took" -v d="$took_get" \
        'BEGIN { printf "%-6d %22.0f %22.0f %22.0f %22.0f\n", r, n / a / 1e6, n / b / 1e6, n / c / 1e6, n / d / 1e6 }' | tee -a "$work/rates"
    done
    echo "$entries entries, $((bytes / 1000000)) MB in $count objects"
    awk '{ print $2 / $3 }' "$work/rates" | median "snapshot to curl"
    awk '{ print $4 / $5 }' "$work/rates" | median "restore to curl"
  esac
  case $parts in *2*)
    snapshot sync
    timed "$tidemark" pitr sync --data-dir "$work/synced" --s3-bucket bench --s3-prefix statesync/ --s3-endpoint "$endpoint"
    rate "initial sync, tidemark" "$bytes" "$took"
    ours=$took
    timed "$cache/denokv" --sqlite-path "$work/denokv.db" pitr sync --s3-bucket bench --s3-prefix "$prefix" --s3-endpoint "$endpoint"
    rate "initial sync, denokv" "$bytes" "$took"
    awk -v a="$ours" -v b="$took" 'BEGIN { printf "denokv takes %.1f times as long\n", b / a }'
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
  awk '{ print $4 }' "$work/costs" | median "with a backup to without"
esac

case $parts in *4*)
  TIDEMARK_BINARY=$tidemark node "$(dirname "$0")/backup_lag.mjs" "$endpoint" bench "$seconds"
esac
