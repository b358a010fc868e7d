#!/usr/bin/env bash
# chaos.sh BUILD [MINUTES [CALLS]] - a bad day for the daemon, under the exchange as its judge: calls that come and go,
# twenty crashes a second in every way there is, connections cut, the process killed; then, with all calls hung up,
# everything it holds must be back at its first values. Without MINUTES the short form: half a minute, 500 calls.
# Prints ok or not ok. The judge's rules: apps/exchange/audit.h.
set -uo pipefail
. "$(dirname "$0")/story.bash"
tandem=$1/apps/tandem
if [ -n "${2:-}" ]; then
    seconds=$(($2 * 60)) calls=${3:-5000} kills=5 cut_ms=20000 beat_ms=2000 late_ms=8000 spread=10s..110s
else
    seconds=30 calls=500 kills=2 cut_ms=9000 beat_ms=1000 late_ms=5000 spread=3s..30s
fi
margin_kb=3072 # of memory: what is left by one wave of calls, beside another
work=$(mktemp -d)
daemon= judge=
trap 'touch "$work/stop"; kill $judge $(tree "$daemon") 2>/dev/null; [ $failed = 0 ] && rm -rf "$work"' EXIT

# field PART KEY: a number of the judge's last line.
field() { python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).read().splitlines()[-1])[sys.argv[2]][sys.argv[3]])' "$work/judge.json" "$1" "$2"; }

none() { [ "$(field audit "$1")" = 0 ]; }

# --- the daemon: its process tree ends in the one that holds the calls ---

tree() { # PID: it and its descendants, one below the other
    local pid=$1
    while [ -n "$pid" ]; do
        echo "$pid"
        pid=$(pgrep -P "$pid" | head -1)
    done
}

runtime() { tree "$daemon" | tail -1; }

# Started again whenever it was killed, should nothing inside the daemon do that.
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
    trail: true
    request_timeout: 3s
    ping: 1s
router:
  app: router
  extensions:
    - { match: "100", app: chaotic }
    - { match: "200", app: chaotic_table }
stop: { drain: 1s }
YAML
    chmod 600 "$work/tandem.yaml"
    (
        while [ ! -e "$work/stop" ]; do
            "$tandem" run "$work/tandem.yaml" 2>>"$work/daemon.log"
            status=$?
            [ $status = 137 ] || break
        done
        echo $status >"$work/daemon.status"
    ) 2>"$work/shell.log" &
    daemon=$!
}

# metric NAME...: the sum of these (a name after - is taken away); nothing while the page does not answer.
metrics() {
    python3 -c 'import sys, urllib.request as u
page = dict(l.split() for l in u.urlopen(sys.argv[1], timeout=5).read().decode().splitlines() if l and l[0] != "#")
print(sum(-int(page[n[1:]]) if n[0] == "-" else int(page[n]) for n in sys.argv[2:]))' "http://127.0.0.1:$page/metrics" "$@" 2>/dev/null
}

actors() { metrics tandem_actors_spawned_total -tandem_actors_ended_total; }
fds() { ls "/proc/$(runtime)/fd" | wc -l; }
threads() { awk '/^Threads/ { print $2 }' "/proc/$(runtime)/status"; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$(runtime)/status"; }
holds() { echo "actors=$(actors) fds=$(fds) threads=$(threads)"; }

wait_for() { # TENTHS CONDITION...: until it holds
    local left=$1
    shift
    until "$@"; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.1
    done
}

# settled: what it holds once that stays the same for a second.
settled() {
    local last='' now=- same=0
    until [ $same = 5 ]; do
        now=$(holds)
        if [ "$now" = "$last" ]; then same=$((same + 1)); else same=0; fi
        last=$now
        sleep 0.2
    done
    echo "$now"
}

answers() { [ -n "$(actors)" ]; }
as_at_first() { [ "$(holds)" = "$first" ]; }

# exchange OPTION...: the judge; its words are in $work/judge.log, its verdict in $work/judge.json.
exchange() {
    "$tandem" exchange --quiet --port "$port" --user caller:for-this-test-only --app router --extension 100 \
        --extension 200 --no-rtp-stats --at-once "$calls" --rate 1000 --beat-ms "$beat_ms" --faults-per-s 20 \
        --fault-keys 12346790123467908015 --silence-ms 3000 --late-ms "$late_ms" --settle-ms 60000 --seed "$RANDOM" "$@" >"$work/judge.json" 2>>"$work/judge.log"
}

# kinds: how many actors ended with which reason.
kinds() {
    grep 'event=supervisor.child_terminated' "$work/daemon.log" | grep -o 'reason="[^:"]*\(:[A-Z]*\((signal [0-9]*)\)\?\)\?' |
        tr -d ' "' | sed 's/reason=//' | sort | uniq -c
}

# --- the bad day ---

kill_now_and_then() {
    local n pause=$((seconds * 1000 / (kills + 1)))
    for ((n = 0; n < kills; n++)); do
        sleep "$(((pause * 3 / 4 + RANDOM * pause / 2 / 32768)))e-3"
        kill -9 "$(runtime)"
    done
}

start_daemon
wait_for 100 answers
first=$(settled)
first_rss=$(rss_kb)
exchange --calls 1000000000 --seconds "$seconds" --script "wait $spread; hangup" --cut-every-ms "$cut_ms" &
judge=$!
kill_now_and_then
wait $judge
judge=
sed -n 's/.*event=exchange.broken.*what=/# broken: /p' "$work/judge.log" | head -20
echo "# $(cat "$work/judge.json")"
echo "# crashes: $(kinds | awk '{ printf "%s %s, ", $1, $2 }')"
check "chaos: crashes, about 20 a second while the source is connected" test "$(field audit faults_taken)" -ge $((seconds * 10))
check "chaos: of seven kinds and more" test "$(kinds | wc -l)" -ge 7
check "chaos: the connection was reset, and left in silence" test "$(field chaos resets)" -ge 1 -a "$(field chaos silences)" -ge 1
check "chaos: $kills processes were killed, and each followed by another" test "$(field audit processes)" = $((kills + 1))
check "chaos: $calls calls at once and more in all" test "$(field audit calls)" -gt "$calls"
check "chaos: no event lost between the wire and the actor" none lost
check "chaos: none taken twice" none doubled
check "chaos: none out of order" none out_of_order
check "chaos: no call handled by two actors at once" none two_at_once
check "chaos: every live call had an actor again after each outage" none unserved
check "chaos: after every crash another incarnation" none not_restarted
check "chaos: no actor ended before its call, no call hung up by us" none abandoned
check "chaos: every actor ended with its call" none outlived
check "chaos: no actor without a call" none unknown
check "chaos: the trail is complete" none untold

# --- what it holds afterwards ---

wave() { exchange --calls "$calls" --script "wait 2s..5s; hangup"; }

wait_for 300 as_at_first
check "chaos: actors, descriptors and threads are as at first: $first" as_at_first
wave
wait_for 300 as_at_first
rss=$(rss_kb)
wave
wait_for 300 as_at_first
again=$(rss_kb)
echo "# memory, kB: $first_rss at first, $rss after $calls calls, $again after as many again"
check "chaos: as many calls again leave the memory as it was, within $margin_kb kB" test "$again" -le $((rss + margin_kb))
check "chaos: and actors, descriptors and threads, too" as_at_first
touch "$work/stop"
kill -TERM $(tree "$daemon" | sed -n 2p)
wait "$daemon"
daemon=
check "chaos: the daemon ends in order" test "$(cat "$work/daemon.status")" = 0
[ $failed = 0 ] || echo "# logs: $work"
