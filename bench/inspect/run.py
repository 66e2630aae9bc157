#!/usr/bin/env python3
"""Measure `residue inspect` on a program with a large heap, beside other tools, in one run.

    bench/inspect/run.py [--trees 40] [--runs 3] --residue PATH [--dlv PATH] [--viewcore PATH] [--goref PATH]

Builds the program beside this file with the `go` on PATH, starts it, and lets the tools look at it one after the other, never
at once. Of each command's runs the one with the least CPU time is reported: user and system time of the command, its
largest memory, and for residue how long the program was stopped. viewcore works on a core, which is made first (gcore) and
isn't counted. viewcore (golang.org/x/debug/cmd/viewcore) and goref (github.com/cloudwego/goref/cmd/grf) are not on Go's
module proxy: build them from their repositories.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def cost(command, stdin=b"", runs=1):
    """CPU seconds, wall seconds, MB, and the output of the cheapest of some runs."""
    best = None
    for _ in range(runs):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            start = time.monotonic()
            child = subprocess.Popen(command, stdin=given, stdout=out, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.monotonic() - start
            if status != 0:
                print(f"{command[0]} ended with {status}", file=sys.stderr)
                return None
            out.seek(0)
            found = (usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, out.read())
        best = found if best is None or found[0] < best[0] else best
    return best


def row(what, found, stopped=""):
    if found:
        print(f"| {what} | {found[0]:.2f} | {found[1]:.1f} | {found[2]:.0f} | {stopped} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=40)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--residue", required=True)
    for peer in ("dlv", "viewcore", "goref"):
        parser.add_argument(f"--{peer}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/holder"
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True)
        holder = subprocess.Popen([program, "-trees", str(args.trees)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            _, objects, size = holder.stdout.readline().split()
            print(f"{int(objects):,} objects, {int(size) / 1e6:,.0f} MB; load {os.getloadavg()[0]:.1f}\n")
            print("| | CPU s | by the clock s | memory MB | program stood still |\n|---|---|---|---|---|")
            pid = str(holder.pid)
            views = [["goroutines"], ["heap"], ["why", "os.file"], ["heap", "--retained"]]
            for view in views:
                command = [args.residue, "inspect", pid, *view, "--format", "json"]
                found = cost(command, runs=args.runs)
                if found:
                    row(f"residue {' '.join(view)}", found, f"{json.loads(found[3])['frozen_us'] / 1000:.0f} ms")
            if args.dlv:
                command = [args.dlv, "attach", pid, "--allow-non-terminal-interactive=true"]
                row("dlv: goroutines", cost(command, b"goroutines -t 8\nexit\nn\n", args.runs), "the whole session")
            if args.viewcore:
                subprocess.run(["gcore", "-o", f"{folder}/core", pid], check=True, stdout=subprocess.DEVNULL)
                command = [args.viewcore, f"{folder}/core.{pid}", "--exe", program, "histogram"]
                row("viewcore: histogram", cost(command), "while the core was made")
            if args.goref:
                row("goref: attach", cost([args.goref, "attach", pid, "-o", f"{folder}/grf"]), "the whole session")
        finally:
            holder.kill()
            holder.wait()


if __name__ == "__main__":
    main()
