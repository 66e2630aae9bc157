#!/usr/bin/env python3
"""Score `residue check` on code that others labelled, and on leaks that others fixed.

    bench/recall/run.py [options] SOURCE=PATH...

SOURCE is one of

    bodyclose              a tree of timakin/bodyclose
    tools                  a tree of golang/tools
    gosec                  a clone of securego/gosec
    cilium/ebpf            a clone, and so for the others whose fixes are listed
    etcd-io/etcd
    prometheus/prometheus

and PATH where it is, for a clone the git directory (bare or not). Sources that
aren't given are left out of the report, which says so. Nothing of them is kept:
trees of single commits are made in a temporary directory, or below --work, where
the next run finds them again.

labels.toml says which labels count, fixes.toml which place of which commit;
causes.toml why something is missed or wrongly found. The report goes to stdout,
or to --out FILE; `--out docs/results/recall.md` renews the one that is kept.

A place of a fix counts as found if the rule reports it at the parent commit and
no longer at the commit. With --fill-cache, `go list -deps` is asked first to put
what the packages import into the module cache; without it, what isn't there is
unknown to `check`.
"""

import argparse
import collections
import dataclasses
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CLONES = ("gosec", "cilium/ebpf", "etcd-io/etcd", "prometheus/prometheus")
TREES = ("bodyclose", "tools")
# What of a commit `check` and `go list` look at.
GO_FILES = [":(glob)**/*.go", ":(glob)**/go.*"]


class Failed(Exception):
    """A command ended in a way that makes what it says worthless."""


def run(command, directory=None, environment=None):
    """Run a command and return what it printed."""
    done = subprocess.run(
        command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        tail = done.stderr[-2000:].decode(errors="replace")
        raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}\n{tail}")
    return done.stdout


@dataclasses.dataclass(frozen=True)
class Report:
    """What `check` said of some packages."""

    findings: list
    missing: list

    def at(self, rule, path, line):
        """Return the findings of a rule on a line, those first that are more than a note."""
        here = [f for f in self.findings
                if f["rule"] == rule and f["site"]["path"] == path and f["site"]["start"]["line"] == line]
        return sorted(here, key=lambda f: f["severity"] == "note")


def check(residue, directory, pattern, extra=()):
    """Run `check` and return its report."""
    command = [residue, "check", "--tests", "--format", "json", *extra, pattern]
    done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        tail = done.stderr[-2000:].decode(errors="replace")
        raise Failed(f"{' '.join(map(str, command))} in {directory}: exit {done.returncode}\n{tail}")
    said = json.loads(done.stdout)
    return Report(said["findings"], said["missing"])


# --- labels


@dataclasses.dataclass
class Labels:
    """How a labelled set came out. Places are `file:line`."""

    found: list = dataclasses.field(default_factory=list)
    missed: list = dataclasses.field(default_factory=list)
    beyond: list = dataclasses.field(default_factory=list)
    beyond_reported: list = dataclasses.field(default_factory=list)
    ok: int = 0
    wrong: list = dataclasses.field(default_factory=list)
    elsewhere: list = dataclasses.field(default_factory=list)


def workspace(source, target):
    """Copy packages that were made for GOPATH, each as a module that the others can import."""
    shutil.copytree(source, target)
    packages = sorted({path.parent for path in target.rglob("*.go")})
    for package in packages:
        name = package.relative_to(target)
        (package / "go.mod").write_text(f"module {name}\n\ngo 1.26\n")
    uses = "".join(f"use ./{package.relative_to(target)}\n" for package in packages)
    (target / "go.work").write_text(f"go 1.26\n\n{uses}")
    return [str(package.relative_to(target)) for package in packages]


def score_labels(residue, labelled, tree, scratch):
    """Compare a set's labels with what is reported."""
    source = tree / labelled["root"]
    if not source.is_dir():
        raise Failed(f"{labelled['name']}: {source} is not there")
    target = scratch / labelled["name"]
    packages = workspace(source, target)
    findings = []
    for package in packages:
        for finding in check(residue, target, f"./{package}").findings:
            if finding["rule"] == labelled["rule"]:
                findings.append(finding)
    # A finding answers labels at its place and, where a path ends, at the end: some linters label both.
    places = [f"{f['site']['path']}:{f['site']['start']['line']}" for f in findings]
    ends = {f"{step['site']['path']}:{step['site']['start']['line']}" for f in findings for step in f["steps"]}
    out_of_scope = labelled.get("out_of_scope", [])
    want, ok = re.compile(labelled["want"]), re.compile(labelled["ok"]) if "ok" in labelled else None
    result, labels = Labels(), set()
    for path in sorted(target.rglob("*.go")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            place = f"{path.relative_to(target)}:{number}"
            reported = place in places
            if want.search(line):
                labels.add(place)
                if out_of_scope == "all" or place in out_of_scope:
                    result.beyond.append(place)
                    if reported:
                        result.beyond_reported.append(place)
                else:
                    (result.found if reported or place in ends else result.missed).append(place)
            elif ok and ok.search(line) and not line.strip().startswith("//"):
                labels.add(place)
                result.ok += 1
                if reported:
                    result.wrong.append(place)
    result.elsewhere = [place for place in places if place not in labels]
    return result


# --- gosec


@dataclasses.dataclass
class Samples:
    """How gosec's samples came out, by kind of label."""

    positive: int = 0
    negative: int = 0
    labels: dict = dataclasses.field(default_factory=collections.Counter)
    found: dict = dataclasses.field(default_factory=collections.Counter)
    missed: list = dataclasses.field(default_factory=list)
    wrong: list = dataclasses.field(default_factory=list)


SAMPLE = re.compile(r"\{\[\]string\{`(.*?)`\}, (\d+), gosec", re.DOTALL)


def score_gosec(residue, described, git, scratch):
    """Compare the samples of G118 with what is reported."""
    text = run(["git", f"--git-dir={git}", "show", f"{described['commit']}:{described['file']}"]).decode()
    directory = scratch / "gosec"
    directory.mkdir()
    (directory / "go.mod").write_text("module samples\n\ngo 1.26\n")
    expected = {}
    for number, match in enumerate(SAMPLE.finditer(text), 1):
        (directory / f"{number:03}").mkdir()
        (directory / f"{number:03}/main.go").write_text(match[1])
        expected[number] = int(match[2])
    counted = collections.Counter()
    for finding in check(residue, directory, "./...").findings:
        if finding["rule"] == described["rule"]:
            counted[int(finding["site"]["path"].split("/")[0])] += 1
    result = Samples()
    for number, count in expected.items():
        kinds = {name: kind["samples"].get(str(number), 0) for name, kind in described["kinds"].items()}
        if sum(kinds.values()) != count:
            raise Failed(f"labels.toml has {sum(kinds.values())} labels of sample {number}, gosec has {count}")
        result.positive += count > 0
        result.negative += count == 0
        result.labels.update(kinds)
        shared = sum(n for name, n in kinds.items() if described["kinds"][name]["shared"])
        left = counted[number]
        for name, n in sorted(kinds.items(), key=lambda kind: not described["kinds"][kind[0]]["shared"]):
            result.found[name] += min(n, left)
            left -= min(n, left)
        if counted[number] < shared:
            result.missed.append(f"sample {number}")
        if counted[number] > shared:
            result.wrong.append(f"sample {number}")
    return result


# --- fixes


@dataclasses.dataclass(frozen=True)
class Place:
    """One place of a fix, and how it came out."""

    repo: str
    commit: str
    file: str
    line: int
    rule: str
    why: str
    before: str
    after: str

    @property
    def name(self):
        return f"{self.commit} {self.file}:{self.line}"

    @property
    def found(self):
        return self.before in ("reported", "a note") and self.after == "silent"


def materialise(git, commit, directory):
    """Unpack the Go files of a commit, unless that was done before."""
    if directory.is_dir():
        return
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    archive = subprocess.Popen(
        ["git", f"--git-dir={git}", "archive", commit, "--", *GO_FILES], stdout=subprocess.PIPE)
    tar = subprocess.run(["tar", "-x", "-C", str(partial)], stdin=archive.stdout, check=False)
    archive.stdout.close()
    if archive.wait() or tar.returncode:
        raise Failed(f"{git}: the tree of {commit} can't be unpacked")
    partial.rename(directory)


def line_after(git, commit, file, line):
    """Return where a line is after the commit; None if the commit changes it."""
    diff = run(["git", f"--git-dir={git}", "diff", "--unified=0", f"{commit}^", commit, "--", file]).decode()
    moved = 0
    for match in re.finditer(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", diff, re.MULTILINE):
        start, removed, added = int(match[1]), int(match[2] or 1), int(match[4] or 1)
        if removed == 0:
            start += 1
        if line < start:
            break
        if line < start + removed:
            return None
        moved += added - removed
    return line + moved


def module_of(tree, file):
    """Return the directory of the module that a file belongs to."""
    directory = (tree / file).parent
    while not (directory / "go.mod").exists():
        if directory == tree:
            raise Failed(f"{file} is in no module")
        directory = directory.parent
    return directory


def verdict(residue, tree, place, line, fill_cache):
    """Return what `check` says of a place: reported, a note, or silent; and what it could not import."""
    module = module_of(tree, place["file"])
    path = (tree / place["file"]).relative_to(module)
    pattern = f"./{path.parent}"
    if fill_cache:
        environment = os.environ | {"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        command = ["go", "list", "-deps", "-test", "-e", pattern]
        subprocess.run(command, cwd=module, env=environment, capture_output=True, check=False)
    report = check(residue, module, pattern, ["--allow-path", str(tree)])
    here = report.at(place["rule"], str(path), line)
    said = "silent" if not here else "a note" if here[0]["severity"] == "note" else "reported"
    return said, report.missing


def score_fixes(residue, fixes, clones, work, fill_cache):
    """Return the places of the fixes whose clones are given, and the imports that are missing."""
    places, missing = [], collections.defaultdict(set)
    for fix in fixes:
        repo, commit = fix["repo"], fix["commit"]
        if repo not in clones:
            continue
        git = clones[repo]
        trees = {}
        for name, revision in (("parent", f"{commit}^"), ("commit", commit)):
            trees[name] = work / repo.replace("/", "-") / f"{commit}-{name}"
            materialise(git, revision, trees[name])
        for place in fix["places"]:
            before = after = "–"
            if place["rule"]:
                line = place.get("after") or line_after(git, commit, place["file"], place["line"])
                if line is None:
                    raise Failed(f"{commit} changes {place['file']}:{place['line']}; fixes.toml has to say `after`")
                before, gone = verdict(residue, trees["parent"], place, place["line"], fill_cache)
                after, _ = verdict(residue, trees["commit"], place, line, fill_cache)
                missing[commit].update("@".join(filter(None, (entry["path"], entry.get("version")))) for entry in gone)
            places.append(Place(
                repo, commit, place["file"], place["line"], place["rule"], place.get("why", ""), before, after))
            print(f"{commit} {place['file']}:{place['line']}: {before}, {after}", file=sys.stderr)
    return places, missing


# --- report


def percent(part, whole):
    return f"{100 * part / whole:.0f} %" if whole else "–"


def with_causes(title, places, causes):
    """Yield a list of places with what causes.toml says of them, and takes that out of it."""
    if places:
        yield f"\n{title}\n"
        for place in places:
            yield f"- `{place}`: {causes.pop(place, '**not looked into yet**')}"


def write_labels(sets, results, causes):
    yield "\n## Labels of other linters\n"
    yield "| set | rule | labels in scope | reported | out of scope | reported | labelled fine | reported | elsewhere | bar |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|--:|---|"
    for labelled in sets:
        result = results.get(labelled["name"])
        if result is None:
            continue
        total = len(result.found) + len(result.missed)
        yield (
            f"| {labelled['name']} ({labelled['at']}) | {labelled['rule']} | {total} | {len(result.found)}"
            f" | {len(result.beyond)} | {len(result.beyond_reported)} | {result.ok} | {len(result.wrong)}"
            f" | {len(result.elsewhere)} | {labelled.get('bar', '–')} |")
    yield "\nOut of scope:\n"
    for labelled in sets:
        if labelled["name"] in results and "why" in labelled:
            yield f"- {labelled['name']}: {labelled['why']}."
    for labelled in sets:
        name, result = labelled["name"], results.get(labelled["name"])
        if result is None:
            continue
        own = causes.get(name, {})
        yield from with_causes(f"Missed in {name}:", result.missed, own)
        yield from with_causes(f"Reported in {name}, though labelled fine or out of scope:",
                               result.wrong + result.beyond_reported, own)
        yield from with_causes(f"Reported in {name} where there is no label:", result.elsewhere, own)


def write_gosec(described, result, causes):
    yield f"\n## gosec's samples of G118 ({described['at']})\n"
    yield (
        f"{result.positive} samples with labels, {result.negative} without. The rule is {described['rule']}; where a kind"
        " is not shared, a finding would be about something else.\n")
    yield "| kind of label | labels | shared | reported |"
    yield "|---|--:|---|--:|"
    for name, kind in described["kinds"].items():
        shared = "yes" if kind["shared"] else "no"
        yield f"| {kind['what']} | {result.labels[name]} | {shared} | {result.found[name]} |"
    own = causes.get("gosec", {})
    yield from with_causes("Labels of a shared kind that are missed:", result.missed, own)
    yield from with_causes("Samples where more is reported than is labelled:", result.wrong, own)


def write_fixes(places, missing, causes):
    yield "\n## Leaks that were fixed\n"
    fitting = [place for place in places if place.rule]
    found = [place for place in fitting if place.found]
    commits = dict.fromkeys(place.commit for place in fitting)
    whole = [c for c in commits if all(p.found for p in fitting if p.commit == c)]
    some = [c for c in commits if any(p.found for p in found if p.commit == c)]
    notes = sum(place.before == "a note" for place in found)
    outside = [place for place in fitting if not place.file.endswith("_test.go")]
    yield (
        f"**{len(found)} of {len(fitting)} places** whose diff fits a rule are reported at the parent and silent at the"
        f" commit: {percent(len(found), len(fitting))} (bar: 70 %), {notes} of them as notes; of the {len(outside)} outside of test files"
        f" {sum(place.found for place in outside)}. By commit: {len(some)} of {len(commits)} with at least one place,"
        f" {len(whole)} with all.\n")
    yield "| repository | commit | place at the parent | rule | parent | commit | |"
    yield "|---|---|---|---|---|---|---|"
    for place in places:
        mark = "out of scope" if not place.rule else "found" if place.found else "**missed**"
        yield (f"| {place.repo} | {place.commit} | `{place.file}:{place.line}` | {place.rule or '–'} | {place.before}"
               f" | {place.after} | {mark} |")
    outer = [place for place in places if not place.rule]
    if outer:
        yield "\nOut of scope:\n"
        for place in outer:
            yield f"- `{place.name}`: {place.why}."
    yield from with_causes("Missed:", [place.name for place in fitting if not place.found], causes.get("fixes", {}))
    lacking = {commit: modules for commit, modules in missing.items() if modules}
    if lacking:
        yield "\nNot in the module cache, so unknown to `check`:\n"
        for commit, modules in lacking.items():
            yield f"- {commit}: {', '.join(sorted(modules))}"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="SOURCE=PATH")
    parser.add_argument("--residue", metavar="FILE", help="default target/release/residue, else PATH")
    parser.add_argument("--out", metavar="FILE", help="where the report goes (default: stdout)")
    parser.add_argument("--work", metavar="DIR", help="keep the trees of single commits here")
    parser.add_argument("--fill-cache", action="store_true", help="download what the packages import")
    options = parser.parse_args()
    built = ROOT / "target/release/residue"
    residue = options.residue or (str(built) if built.exists() else shutil.which("residue"))
    if not residue:
        parser.error("residue is not found, give --residue")
    options.residue = str(pathlib.Path(residue).resolve())
    sources = {}
    for source in options.sources:
        name, separator, path = source.partition("=")
        directory = pathlib.Path(path).resolve()
        if not separator or name not in CLONES + TREES or not directory.is_dir():
            parser.error(f"{source}: not of the form SOURCE=PATH, or PATH is not a directory")
        if name in CLONES and (directory / ".git").is_dir():
            directory /= ".git"
        sources[name] = directory
    options.sources = sources
    return options


def load(name):
    with open(HERE / name, "rb") as file:
        return tomllib.load(file)


def report(options, scratch):
    """Measure everything and yield the report's lines."""
    labels, fixes, causes = load("labels.toml"), load("fixes.toml")["fix"], load("causes.toml")
    sources, residue = options.sources, options.residue
    work = pathlib.Path(options.work).resolve() if options.work else scratch / "commits"
    results = {
        labelled["name"]: score_labels(residue, labelled, sources[labelled["source"]], scratch)
        for labelled in labels["set"] if labelled["source"] in sources
    }
    version = run([residue, "--version"]).decode().splitlines()[0]
    revision = run(["git", "rev-parse", "--short", "HEAD"], ROOT).decode().strip()
    given = " ".join(f"{name}=PATH" for name in sources)
    yield "# Recall on code that others labelled or fixed\n"
    yield (
        f"Measured on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} with {version}, sources at commit {revision}, and the"
        " rules that are on by default:\n")
    yield f"    bench/recall/run.py {'--fill-cache ' if options.fill_cache else ''}{given}\n"
    yield (
        "The inputs are given by path and not kept here. What is missed or wrongly found is listed with its cause, as"
        " somebody wrote it into `bench/recall/causes.toml`; everything else is made by the program.")
    absent = [name for name in TREES + CLONES if name not in sources]
    if absent:
        yield f"\nNot measured this time: {', '.join(absent)}."
    if results:
        yield from write_labels(labels["set"], results, causes)
    if "gosec" in sources:
        described = labels["gosec"]
        yield from write_gosec(described, score_gosec(residue, described, sources["gosec"], scratch), causes)
    if any(fix["repo"] in sources for fix in fixes):
        places, missing = score_fixes(residue, fixes, sources, work, options.fill_cache)
        yield from write_fixes(places, missing, causes)
    for group, left in causes.items():
        for place in left if not absent else ():
            print(f"causes.toml: [{group}] {place}: nothing needs this cause", file=sys.stderr)


def main():
    options = parse_arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-recall-") as scratch:
            text = "\n".join(report(options, pathlib.Path(scratch))) + "\n"
    except Failed as error:
        sys.exit(f"error: {error}")
    if options.out:
        pathlib.Path(options.out).write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
