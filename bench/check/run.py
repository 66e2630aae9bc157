#!/usr/bin/env python3
"""Measure `residue check` beside `go vet` and staticcheck, in one run.

    bench/check/run.py [options] NAME=DIR...

Each DIR is a Go module whose dependencies are in the module cache; NAME is how
the table calls it, for example cilium/ebpf@5ba0b3b. The tools run one after
the other, never at once, so that a busy machine is equally busy for all. Of
each command's runs the one with the least CPU time is reported. CPU time is
user and system time of the command and of all it started; RSS is that of the
largest single process.

Build caches are made anew in a temporary directory for each tree, so that
"cold" is cold and nothing of yours is touched:

    go vet, cold             with an empty build cache
    go vet, warm             again at once
    staticcheck, first run   packages are compiled already, its own cache is empty
    staticcheck, warm        again at once

staticcheck and residue are skipped, with a word on stderr, if they aren't found.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

# A finding is not a failure here: vet exits with 1 then, so do the others. But
# so they do when they give up early, which would look fast; then they say this.
ACCEPTED_EXITS = (0, 1)
GAVE_UP = re.compile(rb"^go: (?!downloading )|\(compile\)$|matched no packages", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one run of a command took."""

    cpu_s: float
    wall_s: float
    rss_mb: float


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table."""

    tree: str
    what: str
    cost: Cost


class CommandFailed(Exception):
    """A command ended in a way that makes its figures worthless."""


def run_once(command, directory, environment):
    """Run a command and return its cost."""
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )
        # wait4 counts the children that the command has waited for, too.
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode not in ACCEPTED_EXITS or GAVE_UP.search(said):
        tail = said[-2000:].decode(errors="replace")
        raise CommandFailed(f"{' '.join(command)} in {directory}: exit {process.returncode}\n{tail}")
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024)


def cheapest(command, directory, environment, runs):
    """Return the cost of the run with the least CPU time."""
    return min((run_once(command, directory, environment) for _ in range(runs)), key=lambda cost: cost.cpu_s)


def measure(name, directory, options):
    """Yield the rows of one tree."""
    plain = dict(os.environ)
    if options.residue:
        for what, flags in (("residue check", []), ("residue check --tests", ["--tests"])):
            command = [options.residue, "check", "--no-cache", *flags, *options.pattern]
            yield Row(name, what, cheapest(command, directory, plain, options.runs))
    if options.peers == "none":
        return
    with tempfile.TemporaryDirectory(prefix="bench-check-") as scratch:
        caches = dict(plain, GOCACHE=f"{scratch}/build", STATICCHECK_CACHE=f"{scratch}/staticcheck")
        if options.peers in ("all", "vet"):
            vet = ["go", "vet", *options.pattern]
            yield Row(name, "go vet, cold", run_once(vet, directory, caches))
            yield Row(name, "go vet, warm", cheapest(vet, directory, caches, options.runs))
        if options.peers in ("all", "staticcheck") and options.staticcheck:
            warm_up = ["go", "list", "-e", "-export", "-deps", "-test", *options.pattern]
            run_once(warm_up, directory, caches)
            lint = [options.staticcheck, *options.pattern]
            yield Row(name, "staticcheck, first run", run_once(lint, directory, caches))
            yield Row(name, "staticcheck, warm", cheapest(lint, directory, caches, options.runs))


def lines_of_go(directory):
    """Count the lines of Go in a tree."""
    total = 0
    for path in pathlib.Path(directory).rglob("*.go"):
        if path.is_file():
            total += path.read_bytes().count(b"\n")
    return total


def table(rows, baseline):
    """Format rows as Markdown, with CPU time as a multiple of the baseline's."""
    base = {row.tree: row.cost.cpu_s for row in rows if row.what == baseline}
    yield "| tree | command | CPU s | wall s | RSS MB | CPU, as a multiple |"
    yield "|---|---|--:|--:|--:|--:|"
    for row in rows:
        cost = row.cost
        multiple = f"{cost.cpu_s / base[row.tree]:.1f}" if base.get(row.tree) else "–"
        yield f"| {row.tree} | {row.what} | {cost.cpu_s:.2f} | {cost.wall_s:.2f} | {cost.rss_mb:.0f} | {multiple} |"


def version(command):
    """Return the first line a tool prints of its version."""
    out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    return out.splitlines()[0] if out else "(no version)"


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", metavar="NAME=DIR")
    parser.add_argument("--residue", metavar="FILE", help="release binary; default target/release/residue, else PATH")
    parser.add_argument("--staticcheck", metavar="FILE", help="default: the one on PATH")
    parser.add_argument("--peers", choices=("all", "vet", "staticcheck", "none"), default="all")
    parser.add_argument("--runs", type=int, default=3, help="runs of each repeatable command (default 3)")
    parser.add_argument("--pattern", action="append", help="packages (default ./...)")
    options = parser.parse_args()
    options.pattern = options.pattern or ["./..."]
    built = pathlib.Path(__file__).resolve().parents[2] / "target/release/residue"
    options.residue = options.residue or (str(built) if built.exists() else shutil.which("residue"))
    options.staticcheck = options.staticcheck or shutil.which("staticcheck")
    for name in ("residue", "staticcheck"):
        path = getattr(options, name)
        if not path:
            print(f"{name} is not found, its rows are left out", file=sys.stderr)
            continue
        # Commands run in the tree, so a relative path would no longer be right.
        setattr(options, name, str(pathlib.Path(path).resolve()))
    trees = []
    for tree in options.trees:
        name, separator, directory = tree.partition("=")
        if not separator or not pathlib.Path(directory).is_dir():
            parser.error(f"{tree}: not of the form NAME=DIR, or DIR is not a directory")
        trees.append((name, directory))
    options.trees = trees
    return options


def main():
    options = parse_arguments()
    for name, command in (
        ("residue", [options.residue, "--version"]),
        ("go", ["go", "version"]),
        ("staticcheck", [options.staticcheck, "-version"]),
    ):
        if command[0]:
            print(f"- {name}: {version(command)}")
    print(f"- cores: {os.cpu_count()}")
    rows, failed = [], False
    for name, directory in options.trees:
        print(f"- {name}: {lines_of_go(directory):,} lines of Go")
        try:
            for row in measure(name, directory, options):
                print(f"{row.tree}: {row.what}: {row.cost.cpu_s:.2f} s CPU", file=sys.stderr)
                rows.append(row)
        except CommandFailed as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
    print()
    for line in table(rows, "residue check --tests"):
        print(line)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
