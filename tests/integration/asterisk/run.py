#!/usr/bin/env python3
"""run.py PROGRAM [--quick] - whole calls against a real Asterisk 22, from the SIP phone to the app and back.

Prints `ok - what`, `not ok - what` or `skip - what: why`. Needs root (the Asterisk lives in a chroot) and, the
first time, a Debian mirror. The story:

  1. two hundred calls at twenty a second through Stasis(router) to the app reception; the callers press keys and
     hang up each in another step. Both sides count the same, and nothing is left over.
  2. the event WebSocket is cut in the middle of calls.
  3. Asterisk is killed in the middle of calls, and started again.

After each of the last two, what we hold is what Asterisk holds, and new calls work."""
import os
import signal
import subprocess
import sys
import tempfile
import time

import lab

# What the callers do: options of `asterisk-lab call`, and how that ends.
CALLERS = [
    ["--hold", "0.05"],                                     # hangs up as soon as it is answered
    ["--hold", "0.4"],                                      # in the first words of the prompt
    ["--dtmf", "1", "--dtmf-delay", "100", "--hold", "1"],  # a choice before the prompt has got going
    ["--dtmf", "1", "--dtmf-delay", "1500", "--hold", "3"],
    ["--dtmf", "2", "--dtmf-delay", "700", "--hold", "2"],
    ["--dtmf", "9", "--hold", "2"],                         # no such choice, then gone while it is told
    ["--dtmf", "99", "--dtmf-delay", "300", "--hold", "5"],
    ["--dtmf", "2", "--info", "--hold", "1.5"],             # the key as SIP INFO
    ["--dtmf", "#", "--info", "--dtmf-delay", "200", "--hold", "1"],
    ["--dtmf", "999", "--info", "--dtmf-gap", "2500", "--hold", "20"],  # three wrong ones; the app ends the call
]
COUNTS = {"started": "tandem_calls_started_total", "ended": "tandem_calls_ended_total"}
failures = 0


def check(what, good, detail=""):
    global failures
    failures += not good
    print(("ok - " if good else "not ok - ") + what + ("" if good or not detail else f" ({detail})"), flush=True)
    return good


def note(text):
    print("# " + text, flush=True)


def skip(why):
    print(f"skip - calls against a real Asterisk: {why}", flush=True)
    sys.exit(0)


def prepare():
    if not os.path.exists(lab.TOOL):
        skip(f"{lab.TOOL} is not there")
    if os.geteuid() != 0:
        skip("it needs root, for a chroot")
    asterisk = lab.Lab(f"tandem-{os.getpid()}")
    try:
        done = asterisk.tool("install", timeout=900)
    except subprocess.TimeoutExpired:
        skip("Asterisk could not be fetched within 15 minutes")
    if done.returncode:
        skip("Asterisk could not be installed: " + " ".join(done.stdout.split())[-300:])
    return asterisk


class Story:
    def __init__(self, asterisk, proxy, tandem):
        self.asterisk, self.proxy, self.tandem = asterisk, proxy, tandem

    # ---- what both sides hold -------------------------------------------------------------------

    def calls_held(self):
        m = self.tandem.metrics()
        return None if COUNTS["started"] not in m else int(m[COUNTS["started"]] - m[COUNTS["ended"]])

    def in_our_apps(self):
        return [c["id"] for c in self.asterisk.channels()
                if c["dialplan"].get("app_name") == "Stasis" and c["dialplan"].get("app_data", "").split(",")[0] in ("router", "reception")]

    def agree(self):
        """Do both sides hold the same number of calls, seen twice with a moment between?"""
        try:
            first = self.calls_held(), len(self.in_our_apps())
            time.sleep(0.2)
            return first[0] == first[1] == self.calls_held() == len(self.in_our_apps())
        except OSError:
            return False

    def empty(self):
        try:
            return self.calls_held() == 0 and not self.asterisk.channels() and not self.asterisk.bridges()
        except OSError:
            return False

    def connected(self):
        return self.asterisk.serves("router") and self.tandem.metrics().get("tandem_ari_connected") == 1

    # ---- calls ----------------------------------------------------------------------------------

    def place(self, count, rate, *more):
        """That many calls in all, of every kind of caller, begun side by side."""
        each = count // len(CALLERS)
        return [self.asterisk.callers(each, rate / len(CALLERS), *options, *more) for options in CALLERS]

    def calls_under_way(self, *more):
        """Forty callers, and how many calls are held when there are enough to speak of."""
        callers = self.place(40, 20, *more)
        lab.until("calls", 15, lambda: self.calls_held() >= 8)
        return callers, self.calls_held()

    def measure(self):
        """(actors, descriptors, KiB) at rest: once what keeps itself alive for a while has gone."""
        before = None
        for _ in range(40):
            m = self.tandem.metrics()
            now = (int(m.get("tandem_actors_spawned_total", 0) - m.get("tandem_actors_ended_total", 0)),
                   self.tandem.descriptors(), self.tandem.resident_kib())
            if before is not None and now[:2] == before[:2]:
                same += 1
            else:
                before, same = now, 0
            if same >= 12:
                break
            time.sleep(1)
        return now

    # ---- the story ------------------------------------------------------------------------------

    def two_hundred_calls(self, count):
        lab.joined(self.place(20, 20))  # what is made at the first call stays
        check("the first calls end on both sides", lab.until("calls", 20, self.empty))
        at_rest, processed, m0 = self.measure(), self.asterisk.processed(), self.tandem.metrics()
        placed, successful = lab.joined(self.place(count, 20))
        check(f"{count} SIP calls were placed and went as the callers expected", placed == successful == count,
              f"{placed} placed, {successful} as expected")
        check("no call, channel or bridge is left over", lab.until("calls", 20, self.empty),
              f"{self.calls_held()} calls here, {len(self.asterisk.channels())} channels, {len(self.asterisk.bridges())} bridges there")
        m1 = self.tandem.metrics()
        started, ended = (int(m1.get(COUNTS[k], 0) - m0.get(COUNTS[k], 0)) for k in ("started", "ended"))
        there = self.asterisk.processed() - processed
        check("both sides' counts agree", started == ended == placed == there,
              f"sipp {placed}, Asterisk {there}, here {started} started and {ended} ended")
        events = int(m1.get("tandem_events_delivered_total", 0) - m0.get("tandem_events_delivered_total", 0))
        check("the router gave each call to reception", self.tandem.said("router.unknown") == 0)
        check("the app's prompts and the callers' keys came as events", events >= 4 * count, f"{events} events")
        for name in ("tandem_ari_events_malformed_total", "tandem_actors_crashed_total", "tandem_mailbox_refused_total",
                     "tandem_ari_requests_failed_total", "tandem_ari_starts_doubled_total"):
            check(f"{name} did not move", m1.get(name, 0) == m0.get(name, 0), f"by {m1.get(name, 0) - m0.get(name, 0)}")
        after = self.measure()
        check("no actor is left over", after[0] == at_rest[0], f"{at_rest[0]} before, {after[0]} after")
        check("no descriptor is left over", after[1] <= at_rest[1],
              f"{at_rest[1]} before, {after[1]} after: {self.tandem.descriptor_names()}")
        check("memory is given back or used again", after[2] - at_rest[2] < 4096, f"grew by {after[2] - at_rest[2]} KiB")
        note(f"{events} events reached {count} calls")
        note(f"resident {after[2]} KiB after {count + 20} calls, {after[2] - at_rest[2]:+d} KiB over the {count}")

    def websocket_cut(self):
        callers, held = self.calls_under_way()
        cut = self.proxy.cut(refuse_for=2.0)
        check("the WebSocket was cut in the middle of calls", cut == 1 and held >= 8, f"{cut} cut, {held} calls")
        check("it is connected again", lab.until("the connection", 20, self.connected))
        check("after the cut both sides hold the same calls", lab.until("agreement", 10, self.agree),
              f"{self.calls_held()} here, {len(self.in_our_apps())} there")
        placed, _ = lab.joined(callers)
        self.back_to_normal("the cut", placed)

    def asterisk_killed(self):
        callers, held = self.calls_under_way("--timeout", "20")  # nobody will answer them any more
        self.asterisk.kill()
        check("Asterisk was killed in the middle of calls", held >= 8, f"{held} calls")
        lab.joined(callers)
        self.asterisk.start()
        check("it is connected to the new Asterisk", lab.until("the connection", 30, self.connected))
        check("the calls of the dead Asterisk have ended here", lab.until("agreement", 15, self.empty), f"{self.calls_held()} left")
        self.back_to_normal("the kill")

    def back_to_normal(self, what, placed=None):
        check(f"after {what} all calls end on both sides", lab.until("calls", 60, self.empty),
              f"{self.calls_held()} here, {len(self.asterisk.channels())} there")
        m0 = self.tandem.metrics()
        placed, successful = lab.joined(self.place(20, 20))
        check(f"after {what} new calls work", placed == successful == 20, f"{successful} of {placed}")
        check(f"after {what} new calls are counted alike", lab.until("calls", 20, self.empty) and
              self.tandem.metrics()[COUNTS["started"]] - m0[COUNTS["started"]] == 20)
        check(f"after {what} the program is the same process still", self.tandem.running())


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # a time limit from outside: stop what we started
    program, quick = os.path.abspath(sys.argv[1]), "--quick" in sys.argv
    asterisk = prepare()
    folder = tempfile.TemporaryDirectory(prefix="tandem-asterisk-")
    proxy = tandem = None
    try:
        asterisk.start()
        proxy = lab.Proxy(asterisk.http_port)
        tandem = lab.Tandem(program, folder.name, proxy.port, asterisk.user, asterisk.password)
        story = Story(asterisk, proxy, tandem)
        if not check("the program connects to Asterisk", lab.until("the connection", 20, story.connected)):
            return
        story.two_hundred_calls(40 if quick else 200)
        story.websocket_cut()
        story.asterisk_killed()
        status = tandem.stop()
        check("SIGTERM ends the program in order", status == 0, f"status {status}")
    except (Exception, KeyboardInterrupt, SystemExit) as err:  # a broken story is one failure, and what was started is still stopped
        check(f"the story goes on to its end: {type(err).__name__}: {err}", False)
    finally:
        if tandem and tandem.running():
            tandem.stop()
        if proxy:
            proxy.stop()
        asterisk.stop()
        if failures and tandem:
            sys.stderr.write("the program's last words:\n" + tandem.tail())
        folder.cleanup()


main()
sys.exit(1 if failures else 0)
