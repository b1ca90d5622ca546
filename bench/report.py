#!/usr/bin/env python3
"""Turns what one run recorded into tables: every case with median and spread, every goal with what was reached.

Input is NAME.tsv for each measurement: case, unit, value; one line for each round, in order. The tables go to standard output, and with --write also
into README.md and tasks.md: a section for each measurement, between its markers, so that a part of the measurements can be taken anew.
"""
import argparse
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

here = pathlib.Path(__file__).resolve().parent


def read_results(path):
    """The values of each case in the order of the rounds: {case: (unit, [value, ...])}, cases in the order of first appearance."""
    cases = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        case, unit, value = line.split("\t")
        cases.setdefault(case, (unit, []))[1].append(float(value))
    return cases


def read_goals():
    lines = (here / "goals.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def shown(number):
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}".rstrip("0").rstrip(".")


def spread(values):
    return f"{shown(min(values))} … {shown(max(values))}" if len(values) > 1 else ""


def reached(goal, cases):
    """The values of a goal, one a round, with a title; nothing when its cases were not measured."""
    kind, first = goal[1], goal[4]
    if kind == "growth":
        sizes = [values for case, (_, values) in cases.items() if case.startswith(first)]
        if len(sizes) < 2:
            return None
        return f"growth: {first} …", [statistics.median(sizes[-1]) - statistics.median(sizes[0])]
    if kind == "value":
        return (first, cases[first][1]) if first in cases else None
    second = goal[5]
    if first not in cases or second not in cases:
        return None
    pairs = zip(cases[first][1], cases[second][1], strict=True)
    return f"{first} / {second}", [a / b for a, b in pairs]


def goals_table(measurement, goals, cases):
    rows = []
    for goal in goals:
        if goal[0] != measurement:
            continue
        result = reached(goal, cases)
        wanted = f"{goal[2].replace('<=', '≤').replace('>=', '≥')} {goal[3]}"
        if result is None:
            rows.append(f"| {goal[4]} | not measured | | {wanted} | |")
            continue
        title, values = result
        middle = statistics.median(values)
        met = middle <= float(goal[3]) if goal[2] == "<=" else middle >= float(goal[3])
        rows.append(f"| {title} | **{shown(middle)}** | {spread(values)} | {wanted} | {'yes' if met else '**no**'} |")
    if not rows:
        return []
    return ["| goal | median | spread | wanted | reached |", "|---|---:|---:|---:|---|", *rows, ""]


def cases_table(cases):
    table = ["| case | median | spread | unit | values |", "|---|---:|---:|---|---:|"]
    for case, (unit, values) in cases.items():
        table.append(f"| {case} | {shown(statistics.median(values))} | {spread(values)} | {unit} | {len(values)} |")
    return [*table, ""]


def first_match(path, pattern, otherwise):
    match = re.search(pattern, pathlib.Path(path).read_text(encoding="utf-8"), re.MULTILINE)
    return match.group(1) if match else otherwise


def commit():
    def git(*arguments):
        return subprocess.run(["git", "-C", here, *arguments], capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "../src", "../oms--1.0.sql", "../worker", ".", ":(exclude)README.md", ":(exclude)tasks.md")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes that are not committed" if changed else "")


def circumstances(options):
    """What a reader has to know to do the same again."""
    cpu = first_match("/proc/cpuinfo", r"^model name\s*: (.*)$", platform.machine())
    memory_gib = int(first_match("/proc/meminfo", r"^MemTotal:\s*(\d+)", "0")) / 1024**2
    command = " ".join([*filter(None, [options.settings]), "bench/run.sh", *options.measurements])
    return (f"{cpu}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, Linux {platform.release()}, PostgreSQL {options.server}; commit {commit()}; "
            f"`{command}`; load {options.load}")


def write_section(pages, measurement, section):
    """The page that has the place for it gets the section."""
    begin, end = f"<!-- begin {measurement} -->", f"<!-- end {measurement} -->"
    for page, text in pages.items():
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if found_begin and found_end:
            pages[page] = f"{before}{begin}\n{section}\n{end}{after}"
            return
    sys.exit(f"report: no page has a place for {measurement}: {begin} … {end}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=pathlib.Path, required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--load", required=True)
    parser.add_argument("--settings", default="")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("measurements", nargs="+")
    options = parser.parse_args()

    goals = read_goals()
    where = circumstances(options)
    pages = {here / name: (here / name).read_text(encoding="utf-8") for name in ("README.md", "tasks.md")}
    for measurement in options.measurements:
        cases = read_results(options.results / f"{measurement}.tsv")
        section = "\n".join([*goals_table(measurement, goals, cases), *cases_table(cases), f"Measured on: {where}."])
        print(f"\n## {measurement}\n\n{section}")
        write_section(pages, measurement, section)
    if options.write:
        for page, text in pages.items():
            page.write_text(text, encoding="utf-8")


main()
