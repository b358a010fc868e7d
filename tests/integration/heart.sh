#!/usr/bin/env bash
# heart.sh BUILD - the daemon under its heart and the exchange: kill -9 while calls are held, then an orderly stop in
# phases. Prints ok or not ok.
set -uo pipefail
. "$(dirname "$0")/story.bash"
tandem=$1/apps/tandem
work=$(mktemp -d)
heart=
trap 'kill -9 $heart $(cat "$work/pid" 2>/dev/null) 2>/dev/null; rm -rf "$work"' EXIT

field() { python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).read().splitlines()[-1]).get(sys.argv[2]))' "$1" "$2"; }

# until_is WHAT WANTED COMMAND...: wait for the command's output to be that, at most 30 s.
until_is() {
    local wanted=$1
    shift
    for _ in {1..300}; do
        [ "$("$@")" != "$wanted" ] || return 0
        sleep 0.1
    done
    return 1
}

count() { grep -c "$1" "$work/daemon.log"; }

start_daemon() { # STOP
    port=$(free_port) page=$(free_port)
    cat >"$work/tandem.yaml" <<YAML
runtime: { metrics: { listen: "127.0.0.1:$page" }, heartbeat: { deaths: 100 } }
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
stop: $1
YAML
    chmod 600 "$work/tandem.yaml"
    "$tandem" run --pid-file "$work/pid" "$work/tandem.yaml" 2>"$work/daemon.log" &
    heart=$!
}

exchange() {
    "$tandem" exchange --quiet --port "$port" --user caller:for-this-test-only --app router "$@" >"$work/exchange.json"
}

# --- killed three times while it holds calls ---
calls=100
start_daemon '{ drain: 1s }'
exchange --calls $calls --at-once $calls --rate 100 --script "wait answer; wait 25s; hangup" &
runner=$!
check "kill -9: all calls are there" until_is $calls value tandem_calls
for life in 1 2 3; do
    kill -9 "$(cat "$work/pid")"
    check "kill -9 ($life): the next process is there" until_is $((life + 1)) count 'event=heart.child '
    check "kill -9 ($life): it adopts every call, each once" until_is $calls value tandem_ari_adopted_total
    check "kill -9 ($life): each has one actor" until_is $calls value tandem_calls
    check "kill -9 ($life): each went on in the app it was in" until_is $calls value tandem_notes_resumed_total
done
wait $runner
check "kill -9: no call is left after the callers have gone" until_is 0 value tandem_calls
check "kill -9: and no note" until_is 0 value tandem_notes
kill -TERM $heart
wait $heart
check "kill -9: the heart ends in order with its child" test $? = 0

# --- K7: an orderly stop with 100 calls that do not end by themselves ---
start_daemon '{ drain: 1s, end: 20s }'
exchange --calls $calls --at-once $calls --rate 100 --script "wait answer; wait 60s; hangup" &
runner=$!
check "K7: all calls are there" until_is $calls value tandem_calls
kill -TERM $heart
wait $heart
check "K7: it ends in order" test $? = 0
check "K7: phases in order" test "$(grep -o 'event=program.stop phase=[a-z_]*' "$work/daemon.log" | cut -d= -f3 | tr '\n' ' ')" = "new_calls drain end sources tree "
check "K7: the drain ran out of time, and the next phase began" grep -q "phase=drain .*calls=$calls outcome=time" "$work/daemon.log"
check "K7: every call was handed back in its phase" grep -q "phase=end .*calls=0 outcome=done" "$work/daemon.log"
kill $runner 2>/dev/null
wait $runner 2>/dev/null
exit 0
