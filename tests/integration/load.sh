#!/usr/bin/env bash
# load.sh BUILD - the daemon under the exchange, as two processes: ten thousand calls held at once, then crashes of
# every kind in one call of twenty. Prints ok or not ok; memory per call is reported, not judged.
set -uo pipefail
. "$(dirname "$0")/story.bash"
tandem=$1/apps/tandem
work=$(mktemp -d)
daemon=
trap 'kill $daemon 2>/dev/null; rm -rf "$work"' EXIT

# field FILE KEY: a number of the exchange's last line.
field() { python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).read().splitlines()[-1])[sys.argv[2]])' "$1" "$2"; }

is() { [ "$(field "$1" "$2")" = "$3" ]; }

# live: how many calls the daemon has now.
live() { value tandem_calls; }

rss_kb() { awk '/VmRSS/ { print $2 }' "/proc/$daemon/status"; }

start_daemon() {
    port=$(free_port) page=$(free_port)
    cat >"$work/tandem.yaml" <<YAML
runtime: { stuck_after: 500ms, log: { level: error }, metrics: { listen: "127.0.0.1:$page" } }
sources:
  exchange:
    type: ari
    url: http://127.0.0.1:$port
    user: caller
    password: for-this-test-only
    apps: [router]
    receipts: true
router:
  app: router
  extensions:
    - { match: "100", app: reception }
    - { match: "666", app: crashy }
stop: { drain: 1s }
YAML
    chmod 600 "$work/tandem.yaml"
    "$tandem" run "$work/tandem.yaml" 2>"$work/daemon.log" &
    daemon=$!
}

# exchange NAME OPTION...: calls for the daemon; the result is in $work/NAME.json.
exchange() {
    local name=$1
    shift
    "$tandem" exchange --quiet --port "$port" --user caller:for-this-test-only --app router "$@" >"$work/$name.json"
    echo $? >"$work/$name.status"
}

stop_daemon() {
    kill -TERM "$daemon"
    wait "$daemon"
    status=$?
    daemon=
}

# --- ten thousand calls held at once, each with events ---
calls=10000
start_daemon
sleep 0.5
before=$(rss_kb)
exchange held --calls $calls --at-once $calls --rate 2500 --script "wait answer; wait 12s; press 1; hangup" &
runner=$!
peak=0
for _ in {1..60}; do
    peak=$(live)
    [ "$peak" != $calls ] || break
    sleep 0.2
done
held=$(rss_kb)
wait $runner
echo "# memory: $(((held - before) * 1024 / calls)) bytes per held call (resident, fiber stacks included)"
check "10000 calls at once: all are live in the same moment" test "$peak" = $calls
check "10000 calls at once: one actor each" is "$work/held.json" actors_started $calls
check "10000 calls at once: every actor ended" is "$work/held.json" actors_ended $calls
check "10000 calls at once: no event lost" is "$work/held.json" lost 0
check "10000 calls at once: none out of order" is "$work/held.json" out_of_order 0
stop_daemon

# --- one call in twenty crashes, in every way there is ---
start_daemon
exchange crash --calls 2000 --at-once 400 --rate 200 \
    --script "wait answer; press 1|2; press 123#; wait 1s; hangup" --extension 100=19 \
    --script "wait answer; wait 100ms; press 1|2|3|4|5|6|7; wait 4s; hangup" --extension 666=1
crashes=$(grep -c 'event=actor.crash' "$work/daemon.log")
echo "# $crashes crashes: $(grep -o 'reason="error:[A-Z]*' "$work/daemon.log" | sort | uniq -c | awk '{ printf "%s %s, ", $1, $2 }')"
check "crashes: there were some of at least six kinds" test "$(grep -o 'reason="error:[A-Z]*([^)]*)\|reason="error:[A-Z]*' "$work/daemon.log" | sort -u | wc -l)" -ge 6
check "crashes: each call went on in a restarted actor" is "$work/crash.json" restarted "$crashes"
check "crashes: one actor for each call" is "$work/crash.json" actors_started 2000
check "crashes: no event lost" is "$work/crash.json" lost 0
check "crashes: none out of order" is "$work/crash.json" out_of_order 0
check "crashes: the exchange is content" test "$(cat "$work/crash.status")" = 0
stop_daemon
check "the daemon ends in order" test "$status" = 0
