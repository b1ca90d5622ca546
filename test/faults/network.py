"""A network namespace for a worker, with one cable to the broker and one to PostgreSQL, each of which can be cut.

A cut cable drops packets without a word, as a failed switch does: no reset, no refusal, connections hang until somebody's patience ends.
"""

import contextlib
import os
import shutil
import zlib

from shell import Broken, Skip, run


class Network:
    def __init__(self, name):
        self.name = name
        # Two runs at once, also of two checkouts, take two networks.
        number = zlib.crc32(f"{os.getcwd()}/{name}".encode()) % 60
        self._cables = {to: (f"oms{number}{to[0]}", f"10.213.{4 * number + index}") for index, to in enumerate(("broker", "database"))}

    def __enter__(self):
        if os.geteuid() != 0 or not shutil.which("ip"):
            raise Skip("network namespaces need root and iproute2")
        self.remove()
        try:
            run("ip", "netns", "add", self.name)
            for device, net in self._cables.values():
                run("ip", "link", "add", device, "type", "veth", "peer", "name", device + "w", "netns", self.name)
                run("ip", "addr", "add", f"{net}.1/24", "dev", device)
                run("ip", "link", "set", device, "up")
                run("ip", "-n", self.name, "addr", "add", f"{net}.2/24", "dev", device + "w")
                run("ip", "-n", self.name, "link", "set", device + "w", "up")
        except Broken as error:
            self.remove()
            raise Skip(f"no network namespaces here: {error}") from error
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        for device, _ in self._cables.values():
            with contextlib.suppress(Broken):
                run("ip", "link", "del", device)
        with contextlib.suppress(Broken):
            run("ip", "netns", "del", self.name)

    def address(self, to):
        """This machine, as the namespace sees it at the end of that cable."""
        return self._cables[to][1] + ".1"

    def subnet(self, to):
        return self._cables[to][1] + ".0/24"

    def cut(self, to):
        run("ip", "link", "set", self._cables[to][0], "down")

    def mend(self, to):
        run("ip", "link", "set", self._cables[to][0], "up")
