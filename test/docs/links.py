"""Links, anchors, paths and make targets that the pages name: all of them exist."""

import pathlib
import re

from page import Page

SKIPPED = {".git", ".run", "build"}
EXTERNAL = re.compile(r"^(https?|mailto):")
PATH = re.compile(r"^(?:src|scripts|test|docs|examples|worker|bench|sql|expected)/[\w./*-]*$")
MAKE = re.compile(r"(?:^|[;&(]\s*|\s)make ((?:[a-z][a-z-]*(?: |$))+)", re.MULTILINE)
TARGET = re.compile(r"^([a-z][a-z -]*):(?!=)", re.MULTILINE)


def markdown_files(root):
    for path in sorted(root.rglob("*.md")):
        if not SKIPPED.intersection(path.relative_to(root).parts):
            yield path


def read(path):
    return Page(path, path.read_text(encoding="utf-8"))


class Checker:
    def __init__(self, root):
        self.root = root
        makefile = (root / "Makefile").read_text(encoding="utf-8")
        self.targets = {name for line in TARGET.findall(makefile) for name in line.split()}
        self._anchors = {}

    def findings(self, path):
        """Yields `line: what` for everything in the file that leads nowhere."""
        page = read(path)
        for number, target in page.links():
            problem = self._link_problem(path, target)
            if problem:
                yield f"{number}: {problem}"
        for number, code in page.inline_code():
            if PATH.match(code) and not self._exists(code):
                yield f"{number}: {code} does not exist"
            yield from (f"{number}: {problem}" for problem in self._unknown_targets(code))
        for block in page.blocks:
            if block.language in ("sh", "bash", "console"):
                yield from (f"{block.first}: {problem}" for problem in self._unknown_targets(block.text))

    def _exists(self, name):
        return any(self.root.glob(name.rstrip("/")))

    def _unknown_targets(self, text):
        for names in MAKE.findall(text):
            for name in names.split():
                if name not in self.targets:
                    yield f"the Makefile has no target {name}"

    def _link_problem(self, path, target):
        if EXTERNAL.match(target):
            return None
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists():
            return f"{target} does not exist"
        if not file.is_relative_to(self.root):
            return f"{target} leads out of the repository"
        if anchor and file.suffix == ".md" and anchor not in self._anchors_of(file):
            return f"{target}: no such heading"
        return None

    def _anchors_of(self, file):
        if file not in self._anchors:
            self._anchors[file] = read(pathlib.Path(file)).anchors()
        return self._anchors[file]
