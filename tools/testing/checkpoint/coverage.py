#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run tests on the kernel with gcov and tell which of our lines they reach.

KUnit, the kselftests and the torture programs run in one boot of the flavour
"coverage". The counters of our objects come back through the share and are
put beside the notes of the compiler. The table is printed, with the sources
and the lines that were not reached in build/coverage/.

A function is on the way of restart() if it can be called from cr_do_restart()
or from the part of a row that restart() uses: check, restore, late, free. Exit
status 1 if less of those than --least percent was reached.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import test
import vm

HERE = Path(__file__).resolve().parent
DIRS = ("checkpoint", "arch/x86/checkpoint")
GCOV = "/sys/kernel/debug/gcov"
RESTART_ROWS = re.compile(r"\.(?:check|restore|late|free)\s*=\s*(\w+)")


def torture_programs(opts):
    """All of them, if they are to run at all."""
    if not opts.torture_seconds:
        return []
    return sorted(p.stem for p in (HERE / "torture").glob("torture_*.c"))


def guest_command(opts, tests, torture, objects):
    """Everything that is to be counted, then the counters."""
    limit = opts.torture_seconds * 4 + 300
    cmd = f"TEST_SECONDS=900 run-selftests {' '.join(tests)}; " if tests else ""
    if torture:
        cmd += (f"TEST_DIR=/opt/checkpoint/bin TEST_SECONDS={limit} "
                f"TEST_ARGS='--seed {opts.seed} --seconds {opts.torture_seconds}' "
                f"run-selftests {' '.join(torture)}; ")
    # KUnit has run at boot; its results are of "make test"
    names = " ".join(f".{objects}/{d}" for d in DIRS)
    return cmd + (f"cd {GCOV} && for d in {names}; do mkdir -p /host/$d && "
                  "for f in $d/*.gcda; do cat $f >/host/$f; done; done")


def counted(objects, gcda):
    """What gcov says about one object, as it is in its JSON."""
    beside = objects / gcda.parent.name / gcda.name
    if "arch/x86" in str(gcda):
        beside = objects / "arch/x86" / gcda.parent.name / gcda.name
    beside.write_bytes(gcda.read_bytes())
    done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                           str(beside)], cwd=objects, stdout=subprocess.PIPE,
                          check=True, text=True)
    return json.loads(done.stdout)


class Source:
    """Lines, branches and functions of one source file."""

    def __init__(self, name, text):
        self.name, self.text = name, text.splitlines()
        self.lines, self.branches, self.functions = {}, {}, {}

    def add(self, data):
        for f in data["functions"]:
            self.functions[f["name"].split(".")[0]] = (f["start_line"], f["end_line"])
        for line in data["lines"]:
            n = line["line_number"]
            self.lines[n] = self.lines.get(n, 0) + line["count"]
            for i, branch in enumerate(line["branches"]):
                key = (n, line.get("function_name"), i)
                self.branches[key] = self.branches.get(key, 0) + branch["count"]

    def body(self, function):
        start, end = self.functions[function]
        return "\n".join(self.text[start - 1:end])

    def part(self, functions=None):
        """(lines reached, lines, branches reached, branches), of some functions."""
        def inside(n):
            return functions is None or any(
                a <= n <= b for a, b in (self.functions[f] for f in functions))
        lines = [c for n, c in self.lines.items() if inside(n)]
        branches = [c for k, c in self.branches.items() if inside(k[0])]
        return (sum(map(bool, lines)), len(lines), sum(map(bool, branches)), len(branches))


def restart_side(sources):
    """Names of functions by source, as the text of the functions names each other."""
    static = {(s.name, f) for s in sources for f in s.functions
              if s.text[s.functions[f][0] - 1].startswith("static")}
    shared = {f: s for s in sources for f in s.functions if (s.name, f) not in static}
    table = "\n".join(next(s for s in sources if s.name.endswith("/objtab.c")).text)
    todo = [(shared[f], f) for f in ["cr_do_restart"] + RESTART_ROWS.findall(table)
            if f in shared]
    found = {s.name: set() for s in sources}
    while todo:
        source, name = todo.pop()
        if name in found[source.name]:
            continue
        found[source.name].add(name)
        for word in set(re.findall(r"\b\w+\b", source.body(name))):
            if word in source.functions:
                todo.append((source, word))
            elif word in shared:
                todo.append((shared[word], word))
    return found


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def row(name, all_of, restart):
    cells = [f"{name:32}", f"{all_of[1]:6}", f"{percent(*all_of[:2]):7.1f}",
             f"{percent(*all_of[2:]):9.1f}"]
    if restart[1]:
        cells += [f"{restart[1]:9}", f"{percent(*restart[:2]):7.1f}",
                  f"{percent(*restart[2:]):9.1f}"]
    return " ".join(cells)


def table(sources, ways):
    lines = [f"{'':32} {'all':>24} {'restart()':>28}",
             f"{'file':32} {'lines':>6} {'% lines':>7} {'% branch':>9}"
             f" {'lines':>9} {'% lines':>7} {'% branch':>9}"]
    total, restart = [0] * 4, [0] * 4
    for s in sources:
        a, b = s.part(), s.part(ways[s.name])
        total = [x + y for x, y in zip(total, a)]
        restart = [x + y for x, y in zip(restart, b)]
        lines.append(row(s.name, a, b))
    lines.append(row("all", total, restart))
    return "\n".join(lines), percent(*restart[:2])


def annotate(out, source, way):
    """The source with counts; !!!! not reached, !r!! not reached by restart()."""
    marked = set()
    for f in way:
        marked |= set(range(source.functions[f][0], source.functions[f][1] + 1))
    text = []
    for n, line in enumerate(source.text, 1):
        count = source.lines.get(n)
        mark = "" if count is None else str(count) if count else \
            "!r!!" if n in marked else "!!!!"
        text.append(f"{mark:>10} {n:5} {line}")
    (out / (source.name.replace("/", "_") + ".txt")).write_text("\n".join(text) + "\n")


def report(build, share, out):
    objects = (build / "kernel-coverage").resolve()
    sources = {}
    for gcda in sorted(share.rglob("*.gcda")):
        for data in counted(objects, gcda)["files"]:
            path = (objects / "checkpoint" / data["file"]).resolve()
            name = re.sub(r".*/linux/", "", str(objects / data["file"]))
            path = build / "linux" / name
            # not what other headers put into our objects, and not KUnit itself
            if not name.startswith(tuple(d + "/" for d in DIRS)) or "/tests/" in name:
                continue
            if name not in sources:
                sources[name] = Source(name, path.read_text())
            sources[name].add(data)
    if not sources:
        sys.exit("coverage: no counters came back")
    sources = [sources[name] for name in sorted(sources)]
    ways = restart_side(sources)
    for source in sources:
        annotate(out, source, ways[source.name])
    text, reached = table(sources, ways)
    (out / "table.txt").write_text(text + "\n")
    print(text)
    return reached


def run(opts, build):
    """Boot, run all that is asked for, fetch the counters. Returns 1 if a test failed."""
    patterns = opts.tests.split()
    listed = (build / "selftests.install" / "list").read_text().split()
    tests = [t for t in listed if test.wanted(t, patterns)]
    torture = torture_programs(opts)
    opts.cmd = guest_command(opts, tests, torture, build / "kernel-coverage")
    tally = test.Tally()
    follow = test.Selftests(tally, tests + torture, [])
    machine = vm.Vm(opts, follow.feed)
    code, found = machine.run()
    follow.close(code)
    test.blame(tally, machine.console_text())
    machine.explain(code, found)
    return tally.finish()


def main():
    args = vm.parser()
    args.add_argument("--tests", default="", help="names of kselftests, else all")
    args.add_argument("--torture-seconds", type=int, default=60, help="each; 0: none")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--least", type=float, default=85.0, help="percent of lines")
    args.add_argument("--report", action="store_true", help="only that of the last run")
    opts = args.parse_args()
    build = Path(opts.build).resolve()
    out = build / "coverage"
    share = out / "counters"
    bad = 0
    if not opts.report:
        subprocess.run(["rm", "-rf", str(out)], check=True)
        share.mkdir(parents=True)
        opts.kernel, opts.name, opts.kunit, opts.share = "coverage", "coverage", True, str(share)
        bad = run(opts, build)
    reached = report(build, share, out)
    print(f"restart(): {reached:.1f} % of the lines reached, {opts.least:g} % wanted")
    sys.exit(bad or reached < opts.least)


if __name__ == "__main__":
    # The console's tail goes to stderr; keep the two in order in one log.
    os.dup2(1, 2)
    main()
