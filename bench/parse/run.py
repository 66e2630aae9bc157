#!/usr/bin/env python3
"""Measure the parser beside go/parser, gosyn and tree-sitter-go, in one run.

    bench/parse/run.py [options] NAME=DIR...

All read all Go files below DIR into memory, and then parse them one after the
other on one thread: go/parser with ParseComments|SkipObjectResolution and
GOMAXPROCS=1. What counts is CPU time of the process, the collector's included;
reading files is not counted. They take turns, so that a busy machine is
equally busy for all, and the fastest round of each is reported; the same with
the peak of memory, which is the whole process's, sources included.

With --keep-trees all trees stay in memory to the end, as in a tool that checks
whole programs; otherwise each is dropped at once.

The column "bodies skipped" is our parser with function bodies passed over, as
packages are read that are only imported. A file is refused by tree-sitter-go
where its tree has an error in it.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).absolute()


def build(go, directory):
    """Build the programs and return how each is started."""
    release = ["cargo", "build", "--release", "--quiet"]
    theirs, peers = directory / "go-parser", TARGET / "bench-peers"
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    steps = [
        subprocess.run([*release, "-p", "residue-syntax", "--example", "throughput"], cwd=ROOT),
        subprocess.run([*release, "--locked", "--target-dir", peers], cwd=ROOT / "bench/parse/peers"),
        subprocess.run([go, "build", "-o", theirs, "."], cwd=ROOT / "bench/parse", env=environment),
    ]
    if any(step.returncode for step in steps):
        sys.exit("cannot build")
    ours, peers = TARGET / "release/examples/throughput", peers / "release/residue-bench-peers"
    return {
        "go/parser": [theirs],
        "gosyn": [peers, "gosyn"],
        "tree-sitter-go": [peers, "tree-sitter"],
        "residue-syntax": [ours, "keep"],
        "bodies skipped": [ours, "skip"],
    }


def measure(command):
    """Run one program; return files, bytes, refused files, nanoseconds, and peak memory in MB."""
    done = subprocess.run(["/usr/bin/time", "-f", "%M", *command], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()], int(done.stderr.split()[-1]) / 1024


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tree", nargs="+", metavar="NAME=DIR")
    arguments.add_argument("--go", default=os.environ.get("RESIDUE_GO", "go"), help="Go command of release 1.27")
    arguments.add_argument("--runs", type=int, default=5, help="turns of each program [default: 5]")
    arguments.add_argument("--keep-trees", action="store_true", help="keep all trees to the end")
    options = arguments.parse_args()
    flags = ["-keep-trees"] if options.keep_trees else []

    version = subprocess.run([options.go, "env", "GOVERSION"], check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory() as directory:
        programs = build(options.go, pathlib.Path(directory))
        peers = list(programs)[:-2]
        trees = "kept" if options.keep_trees else "dropped"
        print(f"MB of source a CPU second, one thread, trees {trees}; go/parser of {version.strip()}\n")
        print(f"| tree | files | MB | {' | '.join(programs)} | {' | '.join('beside ' + peer for peer in peers)} |")
        print("|---" * (3 + len(programs) + len(peers)) + "|")
        rest = []
        for tree in options.tree:
            name, _, path = tree.rpartition("=")
            fastest, peak, refused = {}, {}, {}
            for _ in range(options.runs):
                for which, command in programs.items():
                    (files, size, refused[which], took), memory = measure([*command, *flags, path])
                    fastest[which] = min(fastest.get(which, took), took)
                    peak[which] = min(peak.get(which, memory), memory)
            speeds = [f"{size / fastest[which] * 1000:.1f}" for which in programs]
            ratios = [f"{fastest[peer] / fastest['residue-syntax']:.1f}" for peer in peers]
            print(f"| {name or path} | {files} | {size / 1e6:.1f} | {' | '.join(speeds + ratios)} |", flush=True)
            memory = [f"{peak[which]:.0f}" for which in programs]
            counts = [str(refused[which]) for which in list(programs)[:-1]]
            rest.append(f"| {name or path} | {' | '.join(memory + counts)} |")
    print("\nPeak memory in MB, and files refused\n")
    print(f"| tree | {' | '.join(programs)} | {' | '.join('refused: ' + which for which in list(programs)[:-1])} |")
    print("|---" * (2 * len(programs)) + "|")
    print("\n".join(rest))


if __name__ == "__main__":
    main()
