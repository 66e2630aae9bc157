#!/usr/bin/env python3
"""Measure `residue inspect` on a program with a large heap, beside other tools, in one run.

    bench/inspect/run.py [--trees 40] [--runs 5] --residue PATH… [--dlv PATH] [--viewcore PATH] [--grf PATH]

Builds the program beside this file with the `go` on PATH, starts it, and lets the tools look at it one after the other, never
at once; several builds of residue by turns. Of each command's runs the least and the median are reported, and of its memory
the most: user and system time of the command, time by the clock, for residue how long the program was stopped, and the longest
time in which the program itself saw nothing happen, which is that and what the scheduler adds. On a machine that does other
things too, `chrt -f 20 bench/inspect/run.py …` keeps these out of the figures, as long as nobody else does that.

viewcore (golang.org/x/debug/cmd/viewcore) and grf (github.com/cloudwego/goref/cmd/grf) are built from their repositories, and
named by their paths. viewcore works on a core, which is made first (gcore) and isn't counted; grf attaches, and reads the core
as well. With either, residue reads this core, too. These are run once each (--peer-runs), since they take long.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def cost(command, stdin=b"", ask=lambda: 0):
    """CPU seconds, wall seconds, MB, the milliseconds that the output says the program was stopped, and those of `ask`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        ask()
        start = time.monotonic()
        child = subprocess.Popen(command, stdin=given, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        if status != 0:
            print(f"{command[0]} ended with {status}", file=sys.stderr)
            return None
        out.seek(0)
        stopped = re.search(rb'"frozen_us": ?(\d+)', out.read())
        stopped = int(stopped[1]) / 1000 if stopped else None
        return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, stopped, ask() / 1000


def row(what, found, stopped=""):
    """A line of the table: of each column but memory the least and the median."""
    found = [run for run in found if run]
    if not found:
        print(f"| {what} | failed | | | | |", flush=True)
        return
    cpu, wall, memory, frozen, gap = zip(*found)

    def both(values, form, unit=""):
        return f"{min(values):{form}} / {statistics.median(values):{form}}{unit}"

    stopped = stopped or both(frozen, ".0f", " ms")
    gap = both(gap, ".0f", " ms") if any(gap) else ""
    print(f"| {what} | {both(cpu, '.2f')} | {both(wall, '.2f')} | {max(memory):.0f} | {stopped} | {gap} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", type=int, default=40)
    parser.add_argument("--goroutines", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--residue", required=True, nargs="+")
    parser.add_argument("--peer-runs", type=int, default=1)
    for peer in ("dlv", "viewcore", "grf"):
        parser.add_argument(f"--{peer}")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/holder"
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True)
        command = [program, "-trees", str(args.trees), "-goroutines", str(args.goroutines)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def gap():
            holder.stdin.write("\n")
            holder.stdin.flush()
            return int(holder.stdout.readline())

        try:
            _, objects, size = holder.stdout.readline().split()
            gap()
            time.sleep(5)
            print(f"{int(objects):,} objects, {int(size) / 1e6:,.0f} MB, {args.goroutines:,} goroutines; ", end="")
            print(f"load {os.getloadavg()[0]:.1f}; longest gap of 5 s without any tool {gap() / 1000:.0f} ms\n")
            print("| least / median | CPU s | by the clock s | memory MB | program stood still | its longest gap |")
            print("|---|---|---|---|---|---|")
            pid = str(holder.pid)
            views = [["goroutines"], ["goroutines", "--group"], ["heap"], ["why", "os.file"], ["heap", "--retained"]]
            views += [[*view, "--freeze", "full"] for view in views[2:4]]

            def residue(views, of, ask, where=""):
                for view in views:
                    arguments = ["inspect", *of, *view, "--format", "json"]
                    turns = [[cost([path, *arguments], ask=ask) for path in args.residue] for _ in range(args.runs)]
                    for path, found in zip(args.residue, zip(*turns)):
                        row(f"{pathlib.Path(path).name} {' '.join(view)}{where}", found, where and "not at all")

            if args.dlv:
                command = [args.dlv, "attach", pid, "--allow-non-terminal-interactive=true"]
                found = [cost(command, b"goroutines -t 8\nexit\nn\n", gap) for _ in range(args.runs)]
                row("dlv: goroutines", found, "the whole session")
            peers = range(args.peer_runs)
            if args.grf:
                attach = [args.grf, "attach", pid, "-o", f"{folder}/grf"]
                row("grf attach", [cost(attach, ask=gap) for _ in peers], "the whole session")
            residue(views, [pid], gap)
            if args.viewcore or args.grf:
                subprocess.run(["gcore", "-o", f"{folder}/core", pid], check=True, stdout=subprocess.DEVNULL)
                core = f"{folder}/core.{pid}"
                if args.viewcore:
                    for view in ("histogram", "goroutines"):
                        command = [args.viewcore, core, "--exe", program, view]
                        row(f"viewcore CORE {view}", [cost(command) for _ in peers], "not at all")
                if args.grf:
                    command = [args.grf, "core", program, core, "-o", f"{folder}/grf"]
                    row("grf core", [cost(command) for _ in peers], "not at all")
                residue(views[:5], [core, "--binary", program], lambda: 0, " CORE")
        finally:
            holder.kill()
            holder.wait()


if __name__ == "__main__":
    main()
