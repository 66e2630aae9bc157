#!/usr/bin/env python3
"""Measure what the cache of `residue check` saves.

    bench/cache/run.py [options] NAME=DIR:FILE...

Each DIR is a Go module whose dependencies are in the module cache, FILE a file
in it that is edited. DIR is copied first, nothing of yours is touched. Of each
kind of run the one with the least CPU time, user and system, is reported:

    without a cache      --no-cache
    first run            with an empty cache
    unchanged            again
    new checkout         all files written anew, so that their times tell nothing
    a body edited        a statement put into the first function of FILE
    a type added         a declaration added to FILE

For the last two the packages that were analysed are counted. All reports are
compared with those of runs without a cache; a difference ends the measurement.
"""

import argparse
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

# A finding is not a failure here.
ACCEPTED_EXITS = (0, 1)


def check(residue, tree, *flags):
    """Runs residue; gives its report, how many packages it analysed, and CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [residue, "check", "--format", "sarif", "--stats", *flags]
    run = subprocess.run(command, cwd=tree, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode not in ACCEPTED_EXITS:
        sys.exit(f"{' '.join(command)} in {tree}: {run.stderr.decode()}")
    counted = re.search(rb"(\d+)  packages analysed", run.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return run.stdout, int(counted.group(1)), cpu


class Tree:
    def __init__(self, residue, work, directory, file, runs):
        self.residue, self.runs, self.original = residue, runs, pathlib.Path(directory)
        self.cache, self.tree = work / "cache", work / "tree"
        self.file = self.tree / file
        self.edits = 0

    def fresh(self):
        shutil.rmtree(self.tree, ignore_errors=True)
        shutil.copytree(self.original, self.tree, symlinks=True)

    def cached(self):
        return check(self.residue, self.tree, "--cache-dir", str(self.cache))

    def whole(self):
        return check(self.residue, self.tree, "--no-cache")

    def least(self, prepare):
        """The least CPU of several runs, each after some preparation; and the packages analysed."""
        best = None
        for _ in range(self.runs):
            prepare()
            report, analysed, cpu = self.cached()
            if report != self.whole()[0]:
                sys.exit(f"{self.tree}: the report differs from that of a run without a cache")
            best = min(best or (cpu, analysed), (cpu, analysed))
        return best

    def forget(self):
        shutil.rmtree(self.cache, ignore_errors=True)

    def edit_body(self):
        self.edits += 1
        text = self.file.read_text()
        edited, count = re.subn(r"^(func .*\{)$", rf"\1\n\tprintln({self.edits})", text, count=1, flags=re.M)
        if count == 0:
            sys.exit(f"{self.file}: no function to edit")
        self.file.write_text(edited)

    def add_type(self):
        self.edits += 1
        self.file.write_text(self.file.read_text() + f"\ntype Added{self.edits} int\n")


def measure(tree):
    tree.fresh()
    without = min(tree.whole()[2] for _ in range(tree.runs))
    packages = tree.whole()[1]
    rows = [("without a cache", without, packages)]
    rows.append(("first run", *tree.least(tree.forget)))
    rows.append(("unchanged", *tree.least(lambda: None)))
    rows.append(("new checkout", *tree.least(tree.fresh)))
    rows.append(("a body edited", *tree.least(tree.edit_body)))
    rows.append(("a type added", *tree.least(tree.add_type)))
    return [(kind, cpu, cpu / rows[0][1], analysed) for kind, cpu, analysed in rows], packages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", metavar="NAME=DIR:FILE")
    parser.add_argument("--residue", default=shutil.which("residue"), help="the program (default: the one on PATH)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each kind, of which the least counts")
    args = parser.parse_args()
    if not args.residue:
        parser.error("no residue on PATH; name one with --residue")
    residue = os.path.abspath(args.residue)
    print("| tree | run | CPU s | of one without a cache | packages analysed |")
    print("|---|---|--:|--:|--:|")
    for tree in args.trees:
        name, _, rest = tree.partition("=")
        directory, _, file = rest.rpartition(":")
        with tempfile.TemporaryDirectory() as work:
            rows, packages = measure(Tree(residue, pathlib.Path(work), directory, file, args.runs))
        for kind, cpu, share, analysed in rows:
            print(f"| {name} | {kind} | {cpu:.3f} | {share:.1%} | {analysed} of {packages} |", flush=True)


if __name__ == "__main__":
    main()
