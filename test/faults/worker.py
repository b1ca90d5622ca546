"""One oms-worker process: start, harm, end, and what its log and the kernel say about it."""

import json
import os
import pathlib
import signal
import subprocess
import time

from shell import CHECKOUT, eventually

BINARY = CHECKOUT / "build" / "worker" / "oms-worker"

# Faults are noticed within seconds instead of half a minute. Nothing that is promised depends on these.
QUICK = {"retry-cap": "1s", "floor": "500ms", "replay-interval": "500ms", "shutdown-timeout": "60s"}


def clean_environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("OMS_")}


class Worker:
    def __init__(self, number, database, broker, log, flags=None, kafka=(), namespace=None):
        self.number = number
        self.source = f"/worker/{number}"
        self.log = pathlib.Path(log)
        settings = QUICK | {"database": database, "broker": broker, "source": self.source, "http": "off"} | (flags or {})
        command = ["ip", "netns", "exec", namespace] if namespace else []
        command += [str(BINARY), "run"]
        for name, value in settings.items():
            command += [f"--{name}", value]
        for setting in (*kafka, *extra_kafka()):
            command += ["--kafka", setting]
        command += os.environ.get("WORKER_FLAGS", "").split()
        with open(self.log, "wb") as file:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                             env=clean_environment(), start_new_session=True)
        self.peak_kib = 0

    @property
    def pid(self):
        return self._process.pid

    def alive(self):
        return self._process.poll() is None

    def lines(self):
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("{"):
                yield json.loads(line)

    def said(self, message):
        return sum(message in line.get("message", line.get("msg", "")) for line in self.lines())

    def await_said(self, message, times=1):
        eventually(lambda: self.said(message) >= times or not self.alive(), f"worker {self.number} says '{message}'")
        return self

    def resident_kib(self):
        """Memory now; the peak is kept."""
        try:
            status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return 0
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))}
        self.peak_kib = max(self.peak_kib, sizes.get("VmHWM", 0))
        return sizes.get("VmRSS", 0)

    def signal(self, number):
        self._process.send_signal(number)

    def hang(self):
        self.signal(signal.SIGSTOP)
        eventually(lambda: pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "Tt",
                   f"worker {self.number} is stopped")

    def go_on(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """kill -9; returns the time of death in ms, when it can send nothing more."""
        self.resident_kib()
        self._process.kill()
        self._process.wait()
        return int(time.time() * 1000)

    def end(self):
        """An orderly end; its exit status."""
        self.resident_kib()
        if self.alive():
            self.go_on()
            # Before its first word it has not taken charge of its signals: this one would end it as it ends any process.
            eventually(lambda: self.log.stat().st_size > 0 or not self.alive(), f"worker {self.number} has begun")
            self._process.terminate()
        return self._process.wait()

    def discard(self):
        if self.alive():
            self._process.kill()
            self._process.wait()


def extra_kafka():
    return os.environ.get("WORKER_KAFKA", "").split()
