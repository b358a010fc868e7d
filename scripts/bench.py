#!/usr/bin/env python3
"""bench.py [ROW...] [-n RUNS] [--json] [--only SYSTEM,...] [--list] - Tandem beside its peers, in one table.

ROW is a workload (w1 ... w9) or words of a row's name ("fan-in"). Every system's program is built if its
tools are here, then all of them run in turn, RUNS times (3), and the medians are compared. Ratios say how
many times better Tandem is than that system (above 1: better); for the limit, how near it comes (1: at it).
must and aim stand in tests/bench/goals.json. --json prints the rows as an array on standard output."""
import argparse
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.environ.get("TANDEM_BENCH_SHARED", os.path.join(HERE, "..", "shared", "bench"))
TIMEOUT = 240  # seconds that one run of one job may take
SYSTEMS = ("tandem", "erlang", "caf", "go", "node", "limit")

# A job: what one process run is asked for. `env` for every system, `kind` only for Tandem.
JOBS = {
    "w1": {}, "w3": {}, "w4": {}, "w5": {}, "w6": {}, "w7": {}, "w8": {},
    "w2": {"args": ["w2"], "env": {"W2_N": "1000000"}},
    "w2fiber": {"args": ["w2"], "env": {"W2_N": "100000"}, "tandem_env": {"W2_KIND": "fiber"}},
    "w9": {"arigen": ["-c", "1000", "-r", "0,20000", "-m", "500000", "-d", "5"]},
    "w9many": {"arigen": ["-c", "100000", "-r", "0", "-m", "20000", "-H", "1"]},
    "w9calls": {"arigen": ["-C", "20000"]},
}
# What the bare limits are measured by; one run each is enough. w9 jobs run the floor like a system.
LIMIT_PROGRAMS = {"w3": ["core", "mpsc"], "w4": ["mpsc"], "w6": ["table"], "w8": ["core", "table"]}


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def run(command, **more):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, **more)


class Bench:
    def __init__(self, build, only):
        self.build, self.only = build, only
        self.work = os.path.join(build, "bench")
        self.commands = {}  # (system, "core" or "w9") -> command
        self.figures = {}   # (system, job) -> name -> list of values; job None: a limit's own program
        self.failed = set()  # (system, job) that can not be run or takes for ever; not tried again
        os.makedirs(self.work, exist_ok=True)

    # ---- building ---------------------------------------------------------------------------

    def make(self, what, command, cwd=None):
        """Build one program; a peer that does not build is left out, loudly."""
        try:
            done = run(command, cwd=cwd or self.work, timeout=600, env={**os.environ, "GOFLAGS": "-mod=mod",
                       "GO111MODULE": "off", "GOCACHE": os.path.join(self.work, "go-cache")})
        except (OSError, subprocess.TimeoutExpired) as err:
            say(f"bench: {what} can not be built: {err}")
            return False
        if done.returncode:
            say(f"bench: {what} can not be built:\n{done.stderr.strip()[-1500:]}")
        return done.returncode == 0

    def prepare(self, jobs):
        programs = os.path.join(self.build, "tests", "bench")
        self.commands["tandem", "core"] = [os.path.join(programs, "bench_core")]
        self.commands["tandem", "w9"] = [os.path.join(programs, "bench_w9")]
        if not os.path.isdir(SHARED):
            say(f"bench: {SHARED} is not there: no peers, no limits and no W9, Tandem runs alone")
            return
        core = any("arigen" not in JOBS[j] for j in jobs)
        w9 = any("arigen" in JOBS[j] for j in jobs)
        for system in ("erlang", "caf", "go", "node", "limit"):
            if system in self.only:
                getattr(self, "prepare_" + system)(core, w9, jobs)
        if w9:
            self.prepare_arigen()

    def prepare_arigen(self):
        """Asterisk's side. It answers `[]` to a request for one application, which no Asterisk does, and a source
        that compares what both sides hold has to refuse that; so our copy lists no channels instead."""
        text = open(f"{SHARED}/loadgen/arigen.c").read()
        general = '        } else if (!strncmp(head, "GET ", 4)) {'
        if "/ari/applications/" not in text:
            text = text.replace(general, """        } else if (!strncmp(head, "GET /ari/applications/", 22)) {
            static const char none[] = "{\\"name\\":\\"bench\\",\\"channel_ids\\":[]}";
            http_reply(c, 200, "application/json", none, sizeof none - 1);
""" + general, 1)
        with open(os.path.join(self.work, "arigen.c"), "w") as f:
            f.write(text)
        self.make("arigen", ["cc", "-O2", "-std=gnu11", "-o", "arigen", "arigen.c"])

    def prepare_erlang(self, core, w9, _):
        ebin = (glob.glob("/usr/lib/elixir/lib/elixir/ebin") + [self.work])[0]
        erl = ["erl", "+P", "4000000", "-noshell", "-pa", ebin, self.work, "-s"]
        if core and self.make("the Erlang peer", ["erlc", f"{SHARED}/peers/erlang/bench.erl"]):
            self.commands["erlang", "core"] = erl + ["bench", "main"]
        if w9 and self.make("the Erlang peer of W9", ["erlc", f"{SHARED}/peers/erlang/w9.erl"]):
            self.commands["erlang", "w9"] = ["erl", "+P", "4000000", "+sbwt", "none", "-noshell", "-pa", self.work, "-s", "w9"]

    def prepare_caf(self, core, _, __):
        if core and self.make("the CAF peer", ["c++", "-O2", "-DNDEBUG", "-std=c++17", "-o", "caf",
                                               f"{SHARED}/peers/caf/bench.cpp", "-lcaf_core", "-lpthread"]):
            self.commands["caf", "core"] = [os.path.join(self.work, "caf")]

    def prepare_go(self, core, w9, _):
        for wanted, kind, folder in ((core, "core", "bench"), (w9, "w9", "w9")):
            if wanted and self.make("the Go peer", ["go", "build", "-o", "go-" + folder, f"{SHARED}/peers/go/{folder}/main.go"]):
                self.commands["go", kind] = [os.path.join(self.work, "go-" + folder)]

    def prepare_node(self, _, w9, __):
        folder = os.path.join(self.work, "node")
        if not w9:
            return
        shutil.copytree(f"{SHARED}/peers/node", folder, dirs_exist_ok=True)
        if os.path.isdir(os.path.join(folder, "node_modules", "ws")) or \
                self.make("the Node peer", ["npm", "install", "--no-audit", "--no-fund"], cwd=folder):
            self.commands["node", "w9"] = ["node", os.path.join(folder, "w9.js")]

    def prepare_limit(self, _, w9, jobs):
        if w9 and self.make("the floor of W9", ["c++", "-O2", "-std=c++17", "-o", "w9_floor",
                                                f"{SHARED}/limits/w9_floor.cpp", "-lsimdjson"]):
            self.commands["limit", "w9"] = [os.path.join(self.work, "w9_floor"), "scan"]
        libraries = {"core": ["-lboost_context"], "mpsc": ["-lck"], "table": ["-lck"]}
        for program in sorted({p for j in jobs for p in LIMIT_PROGRAMS.get(j, ())}):
            if self.make("limit " + program, ["cc", "-O2", "-fno-strict-aliasing", "-o", "limit-" + program,
                                              f"{SHARED}/limits/{program}.c", *libraries[program], "-lpthread"]):
                self.commands["limit", program] = [os.path.join(self.work, "limit-" + program)]

    # ---- running ----------------------------------------------------------------------------

    def take(self, system, job, command, env):
        say(f"bench: {job or command[0]} {system}")
        try:
            done = run(command, env={**os.environ, **env}, timeout=TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as err:
            say(f"bench: {job} {system}: {err}")
            self.failed.add((system, job))
            return
        if done.returncode:
            say(f"bench: {job} {system} ended with {done.returncode}: {done.stderr.strip()[:300]}")
        got = {}
        for line in done.stdout.splitlines():
            words = line.split()
            if len(words) == 3 and re.fullmatch(r"-?[\d.]+(e[-+]?\d+)?", words[1]):
                got[words[0]] = float(words[1])
        if "arigen" in JOBS.get(job, {}):
            got["w9.wrong"] = sum(v for k, v in got.items() if k.endswith((".wrong_counts", ".lost_marks",
                                  ".unknown_messages", ".missing_reports", ".calls.missing", ".gave_up")))
        for name, value in got.items():
            self.figures.setdefault((system, job), {}).setdefault(name, []).append(value)

    def run_job(self, job, system):
        what = JOBS[job]
        command = self.commands.get((system, "w9" if "arigen" in what else "core"))
        if command is None or (system, job) in self.failed:
            return
        env = dict(what.get("env", {}))
        if system == "tandem":
            env.update(what.get("tandem_env", {}))
        if "arigen" not in what:
            self.take(system, job, command + what.get("args", [job]), env)
        elif os.path.exists(os.path.join(self.work, "arigen")):
            self.take(system, job, [os.path.join(self.work, "arigen"), *what["arigen"], "--", *command], env)

    def run_all(self, jobs, runs):
        for job in jobs:
            for program in LIMIT_PROGRAMS.get(job, ()):
                command = self.commands.pop(("limit", program), None)
                if command:
                    self.take("limit", None, command, {})
        for turn in range(runs):
            for job in jobs:
                for system in SYSTEMS:
                    if system in self.only:
                        self.run_job(job, system)

    # ---- judging ----------------------------------------------------------------------------

    def median(self, system, job, names, better):
        """The best of a system's variants of one figure."""
        figures = {**self.figures.get((system, None), {}), **self.figures.get((system, job), {})}
        found = [statistics.median(figures[n]) for n in names if n in figures]
        return None if not found else (max if better == "more" else min)(found)

    def judge(self, goal):
        better, scale, name = goal["better"], goal["scale"], goal["figure"]
        pick = lambda system, names: self.median(system, goal["job"], names, better)
        value = pick("tandem", [name])
        if name == "w9.wrong" and value is not None:
            # one wrong count in any run of any job is one too many
            value = max(v for (system, _), got in self.figures.items() if system == "tandem" for v in got.get(name, [0]))
        peers = {p: pick(p, goal.get("peers", {}).get(p, [name])) for p in ("erlang", "caf", "go", "node")}
        limit = pick("limit", goal["limit"]) if "limit" in goal else None
        scaled = lambda v: None if v is None else v / scale
        reaches = lambda mark: value is not None and (scaled(value) >= mark if better == "more" else scaled(value) <= mark)
        return {"row": goal["row"], "value": scaled(value), "unit": goal["unit"],
                "peers": {p: scaled(v) for p, v in peers.items() if v is not None}, "limit": scaled(limit),
                "must": goal["must"], "aim": goal["aim"],
                "met": "aim" if reaches(goal["aim"]) else "must" if reaches(goal["must"]) else "no"}


def number(v):
    if v is None:
        return "-"
    return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.3g}"


def ratio(ours, other, better):
    if ours is None or other is None or not ours or not other:
        return "-"
    r = ours / other if better == "more" else other / ours
    return f"{r:.0f}x" if r >= 10 else f"{r:.2g}x"


def table(goals, rows):
    head = ["", "Tandem", "unit", "Erlang", "CAF", "Go", "Node", "limit", "must", "aim", "met"]
    lines = [head]
    for goal, r in zip(goals, rows):
        lines.append([r["row"], number(r["value"]), r["unit"]] +
                     [ratio(r["value"], r["peers"].get(p), goal["better"]) for p in ("erlang", "caf", "go", "node")] +
                     [ratio(r["value"], r["limit"], goal["better"]), number(r["must"]), number(r["aim"]),
                      "not measured" if r["value"] is None else r["met"]])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        print("  ".join(c.ljust(w) if i in (0, 2) else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip())
    print("\nA peer's column says how many times better Tandem is; the limit's, how near it comes to bare hardware.")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rows", nargs="*")
    p.add_argument("-n", type=int, default=3, dest="runs")
    p.add_argument("--json", action="store_true")
    p.add_argument("--list", action="store_true", help="name the rows and stop")
    p.add_argument("--only", default=",".join(SYSTEMS), help="systems to run, of " + ", ".join(SYSTEMS))
    p.add_argument("--build", default=os.path.join(HERE, "build", "release"))
    a = p.parse_args()
    goals = json.load(open(os.path.join(HERE, "tests", "bench", "goals.json")))["rows"]
    if a.rows:
        wanted = [w.lower() for w in a.rows]
        goals = [g for g in goals if any(re.match(re.escape(w) + r"\b", g["row"].lower()) or w in g["row"].lower()
                                         or w == g["job"] for w in wanted)]
    if not goals:
        sys.exit("bench: no such row; --list names them")
    if a.list:
        print("\n".join(g["row"] for g in goals))
        return
    jobs = list(dict.fromkeys(g["job"] for g in goals))
    bench = Bench(os.path.abspath(a.build), a.only.split(","))
    bench.prepare(jobs)
    bench.run_all(jobs, a.runs)
    rows = [bench.judge(g) for g in goals]
    if a.json:
        print(json.dumps(rows, indent=1))
    else:
        table(goals, rows)


main()
