# story.bash - what the scripts here share; they source it.

failed=0 # 1: a check was not ok

check() { # WHAT CONDITION...
    local what=$1
    shift
    if "$@"; then
        echo "ok - $what"
    else
        echo "not ok - $what"
        failed=1
    fi
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# value NAME: a counter of the daemon, whose metrics page is at port $page.
value() {
    python3 -c 'import sys, urllib.request as u
try:
    for line in u.urlopen(sys.argv[1]).read().decode().splitlines():
        if line.startswith(sys.argv[2] + " "): print(line.split()[1])
except OSError: pass' "http://127.0.0.1:$page/metrics" "$1"
}
