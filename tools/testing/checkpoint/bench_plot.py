#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draw bench.csv of the given directory into bench.png there, with gnuplot.

A row of panels for each kind of process, a column for each kind of time;
medians with bars from the shortest to the longest run.
"""

import csv
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROWS = (
    ("small", "4 KiB pages", "mib", "MiB"),
    ("huge", "huge pages", "mib", "MiB"),
    ("tree", "trees of 1 MiB each", "tasks", "processes"),
)
COLUMNS = (
    ("stopped", ("frozen", "kept_frozen", "fork", "criu_frozen")),
    ("taking an image", ("checkpoint", "flush", "criu_dump", "cp", "dd")),
    ("restart", ("restart", "recall", "rollback", "criu_restore", "fork")),
)
# Title and colour of a measure are the same in every panel.
SERIES = {
    "frozen": ("frozen", "#c00000"),
    "kept_frozen": ("frozen, kept in memory", "#ff8080"),
    "checkpoint": ("checkpoint()", "#c00000"),
    "flush": ("writing the image", "#ff8080"),
    "restart": ("restart() from image", "#c00000"),
    "recall": ("restart() from memory", "#ff8080"),
    "rollback": ("rollback", "#e0a000"),
    "fork": ("fork()", "#008000"),
    "criu_frozen": ("CRIU", "#0040c0"),
    "criu_dump": ("criu dump", "#0040c0"),
    "criu_restore": ("criu restore", "#0040c0"),
    "cp": ("cp", "#808080"),
    "dd": ("dd", "#000000"),
}


def read(path):
    """{(pages, measure): [(x, median, min, max), ...]}, in ms."""
    points = defaultdict(list)
    key = {row[0]: row[2] for row in ROWS}
    with open(path, newline="", encoding="utf-8") as f:
        for line in csv.DictReader(f):
            if line["unit"] == "ns" and int(line["runs"]):
                times = (int(line[k]) / 1e6 for k in ("median", "min", "max"))
                points[line["pages"], line["measure"]].append(
                    (int(line[key[line["pages"]]]), *times))
    return points


def panel(points, row, column):
    """gnuplot commands for one panel; an empty one is left free."""
    pages, title, _, xlabel = row
    measures = [m for m in column[1] if points.get((pages, m))]
    if not measures:
        return "set multiplot next"
    lines = [f'set title "{title}: {column[0]}"', f'set xlabel "{xlabel}"']
    plots = []
    xs = set()
    for measure in measures:
        rows = sorted(points[pages, measure])
        xs.update(r[0] for r in rows)
        data = "\n".join(" ".join(map(str, r)) for r in rows)
        lines.append(f"${measure} << END\n{data}\nEND")
        label, colour = SERIES[measure]
        plots.append(f'${measure} with yerrorlines lc rgb "{colour}" pt 7 ps 0.7 title "{label}"')
    ticks = ", ".join(f'"{x}" {x}' for x in sorted(xs))
    lines.append(f"set xtics ({ticks})")
    lines.append(f"set xrange [{min(xs) / 2}:{max(xs) * 2}]")
    lines.append("plot " + ", ".join(plots))
    return "\n".join(lines)


def main():
    where = Path(sys.argv[1])
    points = read(where / "bench.csv")
    rows = [r for r in ROWS if any(pages == r[0] for pages, _ in points)]
    if not rows:
        sys.exit("bench: nothing to draw")
    script = [f"set terminal pngcairo size 1650,{450 * len(rows)} font ',10'",
              f'set output "{where / "bench.png"}"',
              f"set multiplot layout {len(rows)},{len(COLUMNS)}",
              "set logscale xy", 'set ylabel "ms"', 'set format y "%g"',
              "set grid", "set key below"]
    script += [panel(points, r, c) for r in rows for c in COLUMNS]
    script.append("unset multiplot")
    subprocess.run(["gnuplot"], input="\n".join(script) + "\n", text=True, check=True)
    print(f"{where / 'bench.png'}, {where / 'bench.csv'}")


if __name__ == "__main__":
    main()
