#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run the torture programs in the guest; the last line is the count.

Every program gets the same seed and an equal share of the time. One that takes
the guest down is a failure, and those after it run in a guest of their own.
"""

import fnmatch
import os
import random
import sys
from pathlib import Path

import test
import vm

HERE = Path(__file__).resolve().parent
# A program may overrun its share, to finish a round and to clean up, but a
# hang must show while somebody is still waiting for it.
GRACE_SECONDS = 300
BOOT_SECONDS = 900


class Programs(test.Selftests):
    """Scores programs as selftests are scored; each owes a line of figures."""

    def __init__(self, tally, programs):
        super().__init__(tally, programs, [])
        self.figures = []

    def end(self, name, code):
        found = [t for t in self.lines if t.startswith("figures:")]
        if found:
            self.figures.append(f"{name}: {found[-1].removeprefix('figures:').strip()}")
        elif not code:
            self.tally.add("not ok", f"{name}: ended without a line of figures")
        super().end(name, code)

    def cut(self, code):
        """Those whose turn never came because another one ended the guest."""
        if code not in (vm.DIED, vm.TIMED_OUT) or self.section not in self.waiting:
            return []
        rest = [p for p in self.waiting if p != self.section]
        self.waiting = [self.section]
        return rest


def boot(tally, opts, programs):
    """One guest; returns the programs that are left, and the figures."""
    limit = opts.seconds * 2 + GRACE_SECONDS
    opts.timeout = BOOT_SECONDS + limit * len(programs)
    opts.cmd = (f"TEST_DIR=/opt/checkpoint/bin TEST_SECONDS={limit} "
                f"TEST_ARGS='--seed {opts.seed} --seconds {opts.seconds}' "
                "run-selftests " + " ".join(programs))
    follow = Programs(tally, programs)
    machine = vm.Vm(opts, follow.feed)
    before = tally.count["not ok"]
    code, found = machine.run()
    rest = follow.cut(code)
    follow.close(code)
    test.blame(tally, machine.console_text())
    if tally.count["not ok"] != before:
        machine.explain(code, found or ["(no complaint by the kernel)"])
        print(f"torture: again with: make torture SEED={opts.seed} KERNEL={opts.kernel}")
    return rest, follow.figures


def save(opts, figures):
    """Figures for a person, with what is needed to see them again."""
    path = Path(opts.build) / "torture" / "figures.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"seed={opts.seed} kernel={opts.kernel} seconds={opts.seconds} (each)"
    path.write_text("\n".join([head] + figures) + "\n")
    print("\n".join(["figures:"] + [f"  {f}" for f in figures]))


def main():
    args = vm.parser()
    args.add_argument("--programs", default="", help="shell patterns on names")
    args.add_argument("--minutes", type=float, default=15, help="for all of them")
    args.add_argument("--seed", default="", help="default: a random one")
    opts = args.parse_args()
    patterns = opts.programs.split() or ["*"]
    programs = sorted(p.stem for p in (HERE / "torture").glob("torture_*.c"))
    programs = [p for p in programs if any(fnmatch.fnmatch(p, pattern) or
                                           fnmatch.fnmatch(p, f"torture_{pattern}")
                                           for pattern in patterns)]
    opts.seed = int(opts.seed or random.SystemRandom().getrandbits(31))
    opts.seconds = max(1, int(opts.minutes * 60 / max(1, len(programs))))
    opts.name = "torture"
    # what a program saves, as torture_mutate does its images, stays beside the figures
    opts.share = opts.share or str(Path(opts.build) / "torture")
    Path(opts.share).mkdir(parents=True, exist_ok=True)
    print(f"torture: {len(programs)} programs, {opts.seconds} s each, on the {opts.kernel} "
          f"kernel, SEED={opts.seed}", flush=True)
    tally, figures = test.Tally(), []
    while programs:
        programs, some = boot(tally, opts, programs)
        figures += some
    save(opts, figures)
    sys.stderr.flush()
    sys.exit(tally.finish())


if __name__ == "__main__":
    # The console's tail goes to stderr; keep the two in order in one log.
    os.dup2(1, 2)
    main()
