"""lab.py - what run.py works with: a real Asterisk, a TCP proxy that can cut, and our program.

Everything that is started here is stopped by its own process id, also when a test fails."""
import asyncio
import base64
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.environ.get("TANDEM_ASTERISK_LAB",
                      os.path.normpath(os.path.join(HERE, "../../../../shared/tools/asterisk-lab")))


def until(what, seconds, condition):
    """Ask again until condition() is true; its value, or the last false one."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url, user=None, password=None, timeout=5):
    request = urllib.request.Request(url)
    if user:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        request.add_header("Authorization", "Basic " + token)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read().decode()


class Lab:
    """One Asterisk instance of asterisk-lab. After a kill it comes back on the same ports."""

    def __init__(self, name):
        self.env = {**os.environ, "ASTERISK_LAB_NAME": name, "ASTERISK_LAB_CALLEE": "0",
                    "ASTERISK_LAB_HTTP_PORT": "auto", "ASTERISK_LAB_SIP_PORT": "auto", "ASTERISK_LAB_UAS_PORT": "auto"}

    def tool(self, *words, timeout=600):
        return subprocess.run([TOOL, *words], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=timeout)

    def start(self):
        done = self.tool("start", timeout=120)
        if done.returncode:
            raise RuntimeError("Asterisk did not start: " + done.stdout[-1000:])
        self.pid = int(re.search(r"pid (\d+)", done.stdout)[1])
        settings = dict(w.split("=", 1) for w in shlex.split(self.tool("env").stdout) if "=" in w)
        self.url, self.user, self.password = settings["ARI_URL"], settings["ARI_USER"], settings["ARI_PASSWORD"]
        self.http_port = int(settings["HTTP_PORT"])
        self.env["ASTERISK_LAB_HTTP_PORT"] = settings["HTTP_PORT"]
        self.env["ASTERISK_LAB_SIP_PORT"] = settings["SIP_PORT"]
        self.give_sound("main-menu", settings["ASTERISK_LAB_STATE"])

    @staticmethod
    def give_sound(name, state):
        """A house records its own main menu; lend this one a prompt of Asterisk's, so that there is something
        to interrupt."""
        folder = os.path.join(state, "../../usr/share/asterisk/sounds/en_US_f_Allison")
        if not os.path.exists(f"{folder}/{name}.gsm"):
            shutil.copyfile(f"{folder}/conf-adminmenu.gsm", f"{folder}/{name}.gsm")

    def kill(self):
        """As a crash or the OOM killer would: no word to anyone."""
        os.kill(self.pid, signal.SIGKILL)
        until("the end of Asterisk", 10, lambda: not os.path.exists(f"/proc/{self.pid}"))

    def stop(self):
        self.tool("stop")

    def ari(self, path):
        return json.loads(get(self.url + path, self.user, self.password))

    def channels(self):
        return self.ari("/channels")

    def bridges(self):
        return self.ari("/bridges")

    def serves(self, app):
        """Is somebody connected for this Stasis app?"""
        try:
            return any(a["name"] == app for a in self.ari("/applications"))
        except (OSError, ValueError):
            return False

    def processed(self):
        """Calls since Asterisk started, by its own count."""
        return int(re.search(r"(\d+) calls? processed", self.tool("cli", "core", "show", "calls").stdout)[1])

    def callers(self, count, rate, *options):
        """Real SIP calls, in the background. joined() tells how they went."""
        return subprocess.Popen([TOOL, "call", "100", "--count", str(count), "--rate", str(rate), *options], env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def joined(callers):
    """(placed, successful) of all groups of callers, when they have ended."""
    placed = successful = 0
    for group in callers:
        said, _ = group.communicate(timeout=300)
        m = re.search(r"(\d+) placed, (\d+) successful", said)
        placed, successful = placed + int(m[1] if m else 0), successful + int(m[2] if m else 0)
        if not m or m[1] != m[2]:
            print("# a group of callers: " + " ".join(said.split())[:600], flush=True)
    return placed, successful


class Proxy:
    """Stands between us and Asterisk's HTTP port; can cut the event WebSockets that go through it."""

    def __init__(self, port):
        self.to, self.open, self.refusing = port, {}, False
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    async def serve(self, reader, writer):
        if self.refusing:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            writer.transport.abort()
            return
        self.open[writer] = [back, False]
        await asyncio.gather(self.pump(reader, back, writer), self.pump(there, writer, None))
        self.open.pop(writer, None)

    async def pump(self, source, sink, key):
        """key: the connection as it is known in `open`, on the way to Asterisk."""
        try:
            while data := await source.read(65536):
                if key in self.open and b"upgrade: websocket" in data[:2000].lower():
                    self.open[key][1] = True
                sink.write(data)
                await sink.drain()
            sink.close()
        except OSError:
            sink.transport.abort()

    def cut(self, refuse_for=0.0):
        """Reset every WebSocket; let nobody in for a while. Returns how many were cut."""
        async def now():
            self.refusing = refuse_for > 0
            cut = [(w, back) for w, (back, websocket) in self.open.items() if websocket]
            for writer, back in cut:
                writer.transport.abort()
                back.transport.abort()
            return len(cut)
        cut = asyncio.run_coroutine_threadsafe(now(), self.loop).result(5)
        time.sleep(refuse_for)
        self.refusing = False
        return cut

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


CONFIG = """\
runtime:
  log: {{ level: info, format: json }}
  metrics: {{ listen: "127.0.0.1:{metrics}" }}
sources:
  pbx:
    type: ari
    url: "http://127.0.0.1:{port}"
    user: {user}
    password: ${{TANDEM_TEST_PASSWORD}}
    apps: [router, reception]
router:
  app: router
  extensions:
    - {{ match: "router", app: reception }}
"""


class Tandem:
    """Our program, as an operator runs it."""

    def __init__(self, program, folder, port, user, password):
        self.metrics_port = free_port()
        self.log = os.path.join(folder, "tandem.log")
        config = os.path.join(folder, "tandem.yaml")
        with open(config, "w") as f:
            f.write(CONFIG.format(metrics=self.metrics_port, port=port, user=user))
        self.process = subprocess.Popen([program, "run", config], stdin=subprocess.DEVNULL, stdout=open(self.log, "w"),
                                        stderr=subprocess.STDOUT, env={**os.environ, "TANDEM_TEST_PASSWORD": password})

    def pid(self):
        """The process that does the work: the program itself, or the child that its parent watches."""
        try:
            children = open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read().split()
        except OSError:
            children = []
        return int(children[0]) if children else self.process.pid

    def metrics(self):
        """name -> value, labels added up. {} while it does not answer."""
        try:
            text = get(f"http://127.0.0.1:{self.metrics_port}/metrics")
        except OSError:
            return {}
        values = {}
        for name, value in re.findall(r"^(\w+)(?:\{[^}]*\})? (\S+)$", text, re.M):
            values[name] = values.get(name, 0) + float(value)
        return values

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid()}/fd"))

    def descriptor_names(self):
        folder = f"/proc/{self.pid()}/fd"
        return ", ".join(sorted(os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)))

    def resident_kib(self):
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{self.pid()}/status").read())[1])

    def running(self):
        return self.process.poll() is None

    def stop(self):
        """SIGTERM, and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(10)

    def said(self, event):
        """How often this event stands in its log."""
        return open(self.log, errors="replace").read().count(f'"event":"{event}"')

    def tail(self, lines=40):
        return "".join(open(self.log, errors="replace").readlines()[-lines:])
