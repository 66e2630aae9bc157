#!/usr/bin/env python3
"""Score `residue check` by verdicts that people gave on its findings in real trees.

    bench/precision/run.py [options] TREE=PATH...

TREE is a name of verdicts.toml, such as cilium/ebpf, and PATH the root of that
repository (or GOROOT/src), at the revision that the file names. `check` is run
there with its test files, and each error and warning looked up by its rule, path,
line and message. Those without a verdict are printed on stderr as lines to be
added to verdicts.toml, with the verdict that the same rule and place had under
another message, and the exit code is 1. True ones that are not found any more are
named there too; verdicts of false ones stay, for the day one comes back. Nothing of
a tree is kept.

Where a tree has more findings than --sample, that many are drawn at random with
the seed of verdicts.toml. The page goes to stdout, or to --out FILE;
`--out docs/results/precision.md` renews the one that is kept.
"""

import argparse
import collections
import datetime
import json
import pathlib
import random
import subprocess
import sys
import textwrap
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VERDICTS = ("true", "false", "debatable")
MEANT = """\
**True** means: on a run that gets there, what the finding names stays open, is released twice, is skipped or has no
effect, as the finding says. A test that keeps something until its process ends counts as true, marked as a test.
**False** means that the path cannot be taken, or that something which the tool did not see releases it. **Debatable**
is what is left on purpose, or holds nothing; it counts as false. Notes are findings that say themselves that little or
nothing may be lost; they are listed, and no part of any share."""


class Failed(Exception):
    """A command ended in a way that makes what it says worthless, or a file is not as it should be."""


def check(residue, directory, extra):
    """Run `check` on a tree with its tests and return what it found."""
    command = [residue, "check", "--tests", "--format", "json", *extra, "./..."]
    done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        tail = done.stderr[-2000:].decode(errors="replace")
        raise Failed(f"{' '.join(map(str, command))} in {directory}: exit {done.returncode}\n{tail}")
    return json.loads(done.stdout)["findings"]


def place(finding):
    """Return where a finding is, as file:line."""
    return f"{finding['site']['path']}:{finding['site']['start']['line']}"


def key(finding):
    """Return what a verdict is found by."""
    return f"{finding['rule']} {place(finding)} {finding['message']}"


def order(finding):
    """Return what findings of a tree are put in order by."""
    start = finding["site"]["start"]
    return finding["site"]["path"], start["line"], start["column"], finding["rule"], finding["message"]


def placed(text):
    """Return the rule and place of a key, without the message."""
    return text.split(" ", 2)[:2]


def toml(text):
    """Write a string as TOML; a JSON string is one."""
    return json.dumps(text, ensure_ascii=False)


def judge(name, findings, verdicts, sample, seed):
    """Return rows of (tree, finding, verdict, reason), what has no verdict, and how many were left out."""
    counted = sorted((f for f in findings if f["severity"] != "note"), key=order)
    left_out = max(0, len(counted) - sample)
    if left_out:
        counted = sorted(random.Random(seed).sample(counted, sample), key=order)
    rows, unjudged = [], []
    for finding in counted:
        verdict, reason = verdicts.get(key(finding), (None, None))
        if verdict in VERDICTS:
            rows.append((name, finding, verdict, reason))
            continue
        if verdict is not None:
            raise Failed(f"verdicts.toml: {verdict} of {key(finding)} is none of {', '.join(VERDICTS)}")
        same = [value for other, value in verdicts.items() if placed(other) == placed(key(finding))]
        verdict, reason = same[0] if same else ("?", "")
        unjudged.append(f"{toml(key(finding))} = [{toml(verdict)}, {toml(reason)}]")
    return rows, unjudged, left_out


def shares(rows):
    """Return the cells that say how many of some rows have which verdict."""
    count = collections.Counter(verdict for _, _, verdict, _ in rows)
    share = f"{100 * count['true'] / len(rows):.0f} %" if rows else "–"
    return [count["true"], count["false"], count["debatable"], share]


def table(title, cells, groups):
    """Return a table with a line for each group of rows, of which `cells` makes the numbers."""
    body = [" | ".join(map(str, (name, *cells(rows)))) for name, rows in groups]
    columns = title.count("|") + 1
    return [f"| {title} |", "|---" + "|--:" * (columns - 1) + "|", *(f"| {line} |" for line in body)]


def counts(rows):
    """Return how many rows have which verdict as a text, true/false/debatable."""
    count = collections.Counter(verdict for _, _, verdict, _ in rows)
    return "/".join(str(count[verdict]) for verdict in VERDICTS) if rows else "–"


def cell(text):
    """Keep a text from ending its table cell."""
    return text.replace("|", "\\|")


def wrapped(text):
    """Break a paragraph into lines, but no word or path."""
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False)


def page(known, rows, notes, left_out, commit, extra):
    """Return the page."""
    trees = known["trees"]

    def label(name):
        return f"{name}@{trees[name]['revision']}"

    rules = sorted({f["rule"] for _, f, _, _ in rows})
    names = [name for name in trees if name in notes]
    lines = [
        "# Precision: findings in real code, judged one by one", "",
        f"{datetime.date.today()}, rules as of commit {commit}. Each tree was given to `residue check` with its test",
        "files, and each error and warning was then followed in the source. The trees themselves are not kept here.", "",
        wrapped(known["readings"]), "",
        "```", " ".join(["cd TREE && residue check --tests --format json", *extra, "./..."]),
        "bench/precision/run.py --out docs/results/precision.md TREE=PATH...", "```", "", MEANT, ""]
    beside = [name for name in names if trees[name].get("beside")]
    scored = [r for r in rows if r[0] not in beside]
    head = "true | false | debatable | true of all"
    lines += table(f"tree | {head}", shares, [
        *((label(name), [r for r in scored if r[0] == name]) for name in names if name not in beside),
        ("**all of these**", scored),
        ("of these, not in a test file", [r for r in scored if not r[1]["in_test"]]),
        *((f"beside them: {label(name)}", [r for r in rows if r[0] == name]) for name in beside)])
    lines += ["", *table(f"rule, without the tree beside | {head}", shares, [
        (rule, [r for r in scored if r[1]["rule"] == rule]) for rule in rules]), ""]
    lines += ["The same by rule and tree, as true/false/debatable:", "", *table(
        " | ".join(["rule", *names]), lambda of: [counts([r for r in of if r[0] == name]) for name in names],
        [(rule, [r for r in rows if r[1]["rule"] == rule]) for rule in rules]), ""]
    said = ", ".join(f"{name} {len(of)}" for name, of in notes.items() if of) or "none"
    lines.append(f"Notes, listed and no part of the shares: {said}.")
    for name, count in left_out.items():
        if count:
            seed = known["seed"]
            lines.append(f"{name} has {count} more, which a random draw (Python's `random`, seed {seed}) left out.")
    for name in names:
        lines += ["", f"## {label(name)}", "", "| place | rule | finding | verdict | why |", "|---|---|---|---|---|"]
        for _, finding, verdict, reason in (r for r in rows if r[0] == name):
            shown = verdict if verdict == "true" else f"**{verdict}**"
            where = " (test)" if finding["in_test"] else ""
            lines.append(f"| `{place(finding)}` | {finding['rule']} | {cell(finding['message'])} | {shown}{where} | {cell(reason)} |")
        if notes[name]:
            lines += ["", "Notes:", "", *(f"- `{place(f)}` ({f['rule']}): {f['message']}" for f in notes[name])]
    lines += ["", wrapped(known["notes"])]
    return "\n".join(lines) + "\n"


def arguments():
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("trees", nargs="+", metavar="TREE=PATH")
    parser.add_argument("--residue", type=pathlib.Path, default=ROOT / "target/release/residue")
    parser.add_argument("--commit", help="the commit that the binary was built from (default: HEAD)")
    parser.add_argument("--sample", type=int, default=150, help="judge at most this many findings of a tree")
    parser.add_argument("--rule", action="append", default=[], help="passed on to check")
    parser.add_argument("--out", type=pathlib.Path)
    return parser.parse_args()


def main():
    """Judge what was asked for; return the exit code."""
    asked = arguments()
    known = tomllib.loads((HERE / "verdicts.toml").read_text())
    residue = asked.residue.resolve()
    commit = asked.commit or subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    extra = [word for rule in asked.rule for word in ("--rule", rule)]
    paths = dict(tree.split("=", 1) for tree in asked.trees)
    if unknown := set(paths) - set(known["trees"]):
        raise Failed(f"verdicts.toml has no tree named {', '.join(sorted(unknown))}")
    rows, notes, left_out, missing = [], {}, {}, False
    for name, tree in known["trees"].items():
        if name not in paths:
            continue
        verdicts = known.get("verdicts", {}).get(name, {})
        findings = check(residue, pathlib.Path(paths[name]) / tree.get("module", "."), extra)
        judged, unjudged, left_out[name] = judge(name, findings, verdicts, asked.sample, known["seed"])
        rows += judged
        notes[name] = sorted((f for f in findings if f["severity"] == "note"), key=order)
        if lost := sorted(text for text in set(verdicts) - set(map(key, findings)) if verdicts[text][0] == "true"):
            print(f"{name}: true, and not found any more:", *lost, sep="\n  ", file=sys.stderr)
        if unjudged:
            missing = True
            print(f"[verdicts.{toml(name)}]", *unjudged, sep="\n", file=sys.stderr)
    text = page(known, rows, notes, left_out, commit, extra)
    if asked.out:
        asked.out.write_text(text)
    else:
        sys.stdout.write(text)
    return 1 if missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, OSError, ValueError) as problem:
        sys.exit(f"run.py: {problem}")
