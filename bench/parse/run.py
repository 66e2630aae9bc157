#!/usr/bin/env python3
"""Measure the parser beside go/parser, in one run.

    bench/parse/run.py [options] NAME=DIR...

Both read all Go files below DIR into memory, and then parse them one after the
other on one thread: go/parser with ParseComments|SkipObjectResolution and
GOMAXPROCS=1. What counts is CPU time of the process, the collector's included;
reading files is not counted. The two take turns, so that a busy machine is
equally busy for both, and the fastest round of each is reported.

With --keep-trees all trees stay in memory to the end, as in a tool that checks
whole programs; otherwise each is dropped at once.

The last column is our parser with function bodies passed over, as packages
are read that are only imported.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build(go, directory):
    """Build both programs and return their paths."""
    ours = subprocess.run(
        ["cargo", "build", "--release", "--quiet", "-p", "residue-syntax", "--example", "throughput"], cwd=ROOT,
    )
    theirs = directory / "go-parser"
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    built = subprocess.run([go, "build", "-o", theirs, "."], cwd=ROOT / "bench/parse", env=environment)
    if ours.returncode or built.returncode:
        sys.exit("cannot build")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release/examples/throughput", theirs


def measure(command):
    """Run one program and return files, bytes, refused files and nanoseconds."""
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [int(word) for word in out.split()]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tree", nargs="+", metavar="NAME=DIR")
    arguments.add_argument("--go", default=os.environ.get("RESIDUE_GO", "go"), help="Go command of release 1.27")
    arguments.add_argument("--runs", type=int, default=5, help="turns of each program [default: 5]")
    arguments.add_argument("--keep-trees", action="store_true", help="keep all trees to the end")
    options = arguments.parse_args()
    flags = ["-keep-trees"] if options.keep_trees else []

    version = subprocess.run([options.go, "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout
    trees = "kept" if options.keep_trees else "dropped"
    print(f"MB of source a CPU second, one thread, trees {trees}; go/parser of {version.strip()}\n")
    print("| tree | files | MB | go/parser | residue-syntax | ratio | bodies skipped |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        ours, theirs = build(options.go, pathlib.Path(directory))
        for tree in options.tree:
            name, _, path = tree.rpartition("=")
            commands = {
                "go": [theirs, *flags, path],
                "keep": [ours, "keep", *flags, path],
                "skip": [ours, "skip", *flags, path],
            }
            fastest = {}
            for _ in range(options.runs):
                for which, command in commands.items():
                    files, size, refused, nanoseconds = measure(command)
                    fastest[which] = min(fastest.get(which, nanoseconds), nanoseconds)
            speed = {which: size / ns * 1000 for which, ns in fastest.items()}
            print(
                f"| {name or path} | {files} | {size / 1e6:.1f} | {speed['go']:.1f} | {speed['keep']:.1f} "
                f"| {speed['keep'] / speed['go']:.1f} | {speed['skip']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
