"""Executes what the documentation shows and compares it with what the documentation says. README.md here has the rules.

    run.py [--update] [PAGE ...]      PAGE: orders, README, examples, ...
"""

import pathlib
import subprocess
import sys

import consumers
import database
from links import Checker, markdown_files
from mask import Mask
from page import Page

ROOT = pathlib.Path(__file__).resolve().parents[2]
WITHOUT_EXTENSION = "database without the extension"
ROLE = "as "
RUN = "run"
CONSUMERS = "readers"  # below examples/: programs that do not end by themselves


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def count(self, name, problems):
        problems = [problem for problem in problems if problem]
        if not problems:
            self.passed += 1
            return
        self.failed += 1
        print(f"FAIL  {name}")
        for problem in problems:
            for line in problem.rstrip("\n").split("\n"):
                print(f"      {line}")


def tidy(output):
    """An output as it is stored: without the blanks that psql puts at the ends of lines."""
    return "\n".join(line.rstrip() for line in output.strip("\n").split("\n"))


def shell(script):
    done = database.run(["bash", "-eu", "-o", "pipefail", "-c", script], cwd=ROOT)
    return done.stdout + ("" if done.returncode == 0 else f"ERROR: exit status {done.returncode}\n")


def is_executed(block):
    return block.language == "sql" or (block.language == "sh" and RUN in block.directives)


def execute(blocks):
    """Runs the blocks in their order; yields (block, output)."""
    role, waiting = "postgres", []

    def flush():
        scripts = [(f"\\connect - {connect_as}\n" if connect_as else "") + block.text for block, connect_as in waiting]
        outputs = database.run_blocks(scripts) if scripts else []
        yield from zip([block for block, _ in waiting], outputs)
        waiting.clear()

    for block in blocks:
        wanted = next((d[len(ROLE):] for d in block.directives if d.startswith(ROLE)), None)
        if wanted:
            role = "postgres" if wanted == "owner" else database.role_of(wanted)
        if block.language == "sql":
            waiting.append((block, role if wanted or not waiting else None))
        else:
            yield from flush()
            yield block, shell(block.text)
    yield from flush()


def difference(block, output, masks):
    """Says how the output differs from what the page says, or None."""
    if block.expected is None:
        found = database.FAILED.search(output)
        return f"no error is expected here:\n{output}" if found else None
    said, found = (mask.lines(text) for mask, text in zip(masks, (block.expected.text, output)))
    if said == found:
        return None
    return "the page says:\n" + block.expected.text + "\nthe output is:\n" + output


def run_page(path, tally, update):
    page = Page(path, path.read_text(encoding="utf-8"))
    blocks = [block for block in page.blocks if is_executed(block)]
    if not blocks:
        return ""
    name, sql, fresh_outputs = path.relative_to(ROOT), [], []
    masks = (Mask(), Mask())
    extension = WITHOUT_EXTENSION not in blocks[0].directives
    with database.Fresh(extension):
        for block, output in execute(blocks):
            sql.append(block.text)
            problem = difference(block, output, masks)
            tally.count(f"{name}:{block.first}", [problem])
            if problem and block.expected:
                fresh_outputs.append((block.expected, tidy(output)))
    if update and fresh_outputs:
        path.write_text(page.with_outputs(fresh_outputs), encoding="utf-8")
        print(f"updated {name}: {len(fresh_outputs)} outputs")
    return "\n".join(sql)


def run_examples(tally, update):
    """Each example stands beside its output, X.sql or X.py beside X.out."""
    for path in sorted(ROOT.glob("examples/*/*")):
        if path.suffix not in (".sql", ".py") or path.parent.name == CONSUMERS:
            continue
        expected = path.with_suffix(".out")
        said = expected.read_text(encoding="utf-8") if expected.exists() else ""
        with database.Fresh(extension=True):
            output = run_example(path)
        same = Mask().lines(said) == Mask().lines(output)
        problem = None if same else f"{expected.name} says:\n{said}\nthe output is:\n{output}"
        tally.count(path.relative_to(ROOT), [problem])
        if update and not same:
            expected.write_text(tidy(output) + "\n", encoding="utf-8")


def run_consumers(tally):
    for name in consumers.CONSUMERS:
        with database.Fresh(extension=True):
            problems, counts = consumers.run_consumer(ROOT, name)
        tally.count(f"examples/{CONSUMERS}/{name}", problems)
        print(counts)


def run_example(path):
    role = database.role_of("application")
    if path.suffix == ".sql":
        return database.psql(path.read_text(encoding="utf-8"), database.NAME, "-U", role)
    done = database.run([sys.executable, path], env=database.environment() | {"PGUSER": role})
    return done.stdout + ("" if done.returncode == 0 else f"exit status {done.returncode}\n")


def check_errors_page(tally):
    made = subprocess.run([ROOT / "scripts/docs_errors.sh"], stdout=subprocess.PIPE, text=True, check=False,
                          env=database.environment() | {"PGDATABASE": "postgres"})
    stored = ROOT / "docs/errors.md"
    current = stored.exists() and stored.read_text(encoding="utf-8") == made.stdout
    tally.count("docs/errors.md", [None if current else "not up to date; run: scripts/docs_errors.sh >docs/errors.md"])


def check_every_function_is_shown(tally, sql):
    with database.Fresh(extension=True):
        functions = database.must("SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'oms'::regnamespace "
                                  "AND prorettype <> 'trigger'::regtype AND proname <> 'grant_audiences' ORDER BY 1")
        # The steps of the built-in saga are called by the engine alone.
        steps = database.must("SELECT string_agg(definition::text, ' ') FROM oms.saga_definition WHERE builtin")
    for function in functions.split("\n"):
        if f'"oms.{function}"' in steps:
            continue
        shown = f"oms.{function}(" in sql
        tally.count(f"oms.{function}", [None if shown else "no page has an example that calls it"])


def check_maps(tally):
    """Whoever opens src/ finds every room on its map, and every file of pg/ in its table."""
    maps = {"src/README.md": [f"`{room.name}/`" for room in (ROOT / "src").iterdir() if any(room.glob("*.hpp"))],
            "src/pg/README.md": [f"`{file.stem}" for file in (ROOT / "src/pg").glob("*.hpp")]}
    for name, wanted in maps.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        absent = [each.strip("`") for each in sorted(wanted) if each not in text]
        tally.count(f"map {name}", [f"{name}:1: says nothing about {each}" for each in absent])


def check_links(tally):
    checker = Checker(ROOT)
    for path in markdown_files(ROOT):
        name = path.relative_to(ROOT)
        tally.count(f"links of {name}", [f"{name}:{finding}" for finding in checker.findings(path)])


def main(arguments):
    update = "--update" in arguments
    wanted = [argument for argument in arguments if argument != "--update"]
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    known = list(dict.fromkeys([page.stem for page in pages] + ["examples", "links"]))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"docs: no page {unknown[0]}; there are: {' '.join(known)}")
    tally = Tally()
    sql = "".join(run_page(page, tally, update) for page in pages if not wanted or page.stem in wanted)
    if not wanted or "examples" in wanted:
        run_examples(tally, update)
        run_consumers(tally)
    if not wanted or "links" in wanted:
        check_links(tally)
    if not wanted:
        check_errors_page(tally)
        check_maps(tally)
        check_every_function_is_shown(tally, sql)
    print(f"{tally.passed} passed, {tally.failed} failed")


if __name__ == "__main__":
    main(sys.argv[1:])
