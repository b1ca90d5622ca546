"""A fresh database for each page, and psql sessions in it."""

import os
import re
import subprocess

NAME = "oms_docs"
AUDIENCES = ("application", "reader", "worker", "operator")
FAILED = re.compile(r"^(ERROR|FATAL|PANIC|WARNING|psql): |^invalid command |^\\\w+: ", re.MULTILINE)
MARK = "@@ block "
SECONDS_MAX = 120  # no example waits for anything but the server; one that hangs must not hang the suite


def environment():
    """What the reader of a page sees: UTC, English, no settings of his own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LC_")}
    return kept | {"LC_ALL": "C.UTF-8", "PGTZ": "UTC", "PGDATABASE": NAME, "PGAPPNAME": "docs", "PSQLRC": "/dev/null",
                   "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}


def psql(script, database=NAME, *options):
    """Runs a script and returns its output, errors among it, in the order of their appearance."""
    return run(["psql", "-X", "-q", "-P", "pager=off", *options, "-d", database], input=script).stdout


def run(command, **options):
    """Runs a program to its end, standard output and errors in one."""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=SECONDS_MAX, **{"env": environment()} | options)


def must(script, database=NAME):
    output = psql(script, database, "-A", "-t", "-v", "ON_ERROR_STOP=1")
    if FAILED.search(output):
        raise RuntimeError(f"{output.strip()}\nin: {script}")
    return output.strip()


def role_of(audience):
    return f"{NAME}_{audience}"


def roles():
    return set(must("SELECT rolname FROM pg_roles", "postgres").split("\n"))


class Fresh:
    """`with Fresh(extension=True):` makes the database, and drops it afterwards with the roles made meanwhile."""

    def __init__(self, extension):
        self._extension = extension

    def __enter__(self):
        must(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)", "postgres")
        drop_roles(role for role in roles() if role.startswith(NAME))
        self._roles_before = roles()
        must(f"CREATE DATABASE {NAME}", "postgres")
        if self._extension:
            must("CREATE EXTENSION oms")
            for audience in AUDIENCES:
                role = role_of(audience)
                must(f"CREATE ROLE {role} LOGIN; SELECT oms.grant_{audience}('{role}')")
        return self

    def __exit__(self, *_):
        must(f"DROP DATABASE {NAME} WITH (FORCE)", "postgres")
        drop_roles(roles() - self._roles_before)


def drop_roles(names):
    for name in names:
        must(f'DROP ROLE "{name}"', "postgres")


def run_blocks(scripts):
    """Runs scripts one behind the other in one session and returns what each of them printed."""
    whole = "".join(f"\\echo {MARK}{i}\n{text}\n\\r\n" for i, text in enumerate(scripts))
    outputs = re.split(rf"^{re.escape(MARK)}\d+\n", psql(whole), flags=re.MULTILINE)[1:]
    return outputs + ["psql: the session ended before this block\n"] * (len(scripts) - len(outputs))
