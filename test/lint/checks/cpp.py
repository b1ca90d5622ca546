"""C++ sources as the checks see them: comments gone, literals empty, every line still at its place."""

import pathlib
import re

TOKENS = re.compile(
    r"""
      //[^\n]*                                       # comment to the end of the line
    | /\*.*?\*/                                      # comment
    | R"(?P<mark>[^\s()\\]{0,16})\(.*?\)(?P=mark)"   # raw string
    | "(?:\\.|[^"\\\n])*"                            # string
    | (?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'           # character; 1'000 is a number
    """,
    re.VERBOSE | re.DOTALL,
)


def sources(*roots):
    """All C++ files below the roots, as paths relative to the tree."""
    for root in roots:
        for path in sorted(pathlib.Path(root).rglob("*")):
            if path.suffix in (".cpp", ".hpp", ".h"):
                yield path


def code(path):
    """The text of a file with comments and the insides of literals blanked out."""

    def blank(match):
        lines = "\n" * match.group().count("\n")
        return lines if match.group().startswith("/") else '""' + lines

    return TOKENS.sub(blank, path.read_text(encoding="utf-8"))


def report(path, line, text):
    print(f"{path}:{line}: {text}")


def report_matches(path, text, pattern, message):
    """Reports each match; {found} in the message stands for what was found."""
    for number, line in enumerate(text.split("\n"), 1):
        for match in pattern.finditer(line):
            report(path, number, message.format(found=match.group().strip()))
