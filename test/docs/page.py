"""A Markdown page as the test sees it: code blocks with what stands before and behind them, headings, links."""

import re
from dataclasses import dataclass, field

FENCE = re.compile(r"^(`{3,}|~{3,})\s*([\w-]*)\s*$")
DIRECTIVE = re.compile(r"^<!-- test: (.+) -->$")
HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)(?:\s+\"[^\"]*\")?\)")
INLINE_CODE = re.compile(r"(`+)(.+?)\1")
OUTPUTS = ("text", "output")


@dataclass
class Block:
    """A fenced block. Line numbers count from 1; `first` and `last` are its content, without the fences."""

    language: str
    first: int
    last: int
    text: str
    directives: list = field(default_factory=list)
    expected: "Block | None" = None


class Page:
    def __init__(self, path, text):
        self.path = path
        self.lines = text.split("\n")
        self.blocks = []
        self.prose = []  # (line number, text) outside of blocks
        self._read()

    def _read(self):
        directives, fence, start, language = [], None, 0, ""
        previous = None  # the block that an output block may belong to: nothing but blank lines since
        for number, line in enumerate(self.lines, 1):
            found = FENCE.match(line.strip()) if fence is None else None
            if fence is not None:
                if line.strip() != fence:
                    continue
                block = Block(language, start + 1, number - 1, "\n".join(self.lines[start:number - 1]), directives)
                fence = None
                if language in OUTPUTS and previous is not None:
                    previous.expected, previous = block, None
                    continue
                self.blocks.append(block)
                previous, directives = block, []
            elif found:
                fence, language, start = found.group(1), found.group(2), number
            else:
                self.prose.append((number, line))
                directive = DIRECTIVE.match(line.strip())
                if directive:
                    directives.append(directive.group(1))
                if line.strip():
                    previous = None
        if fence is not None:
            raise ValueError(f"{self.path}:{start}: the block does not end")

    def anchors(self):
        """The anchors of the headings, as GitHub makes them."""
        found, seen = set(), {}
        for _, line in self.prose:
            heading = HEADING.match(line)
            if heading:
                slug = slug_of(heading.group(2))
                count = seen.get(slug, 0)
                seen[slug] = count + 1
                found.add(f"{slug}-{count}" if count else slug)
        return found

    def links(self):
        for number, line in self.prose:
            for link in LINK.finditer(INLINE_CODE.sub("", line)):
                yield number, link.group(1)

    def inline_code(self):
        for number, line in self.prose:
            for code in INLINE_CODE.finditer(line):
                yield number, code.group(2)

    def with_outputs(self, outputs):
        """The page's text with new contents for some output blocks: {block: lines}."""
        lines = list(self.lines)
        for block, text in sorted(outputs, key=lambda pair: -pair[0].first):
            lines[block.first - 1:block.last] = text.split("\n")
        return "\n".join(lines)


def slug_of(heading):
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
