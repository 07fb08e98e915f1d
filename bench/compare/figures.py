"""The targets on a GPU beside what was measured, as a Markdown table, and curves of the rates: made of the JSON that scripts/gpu_check.sh leaves.

usage: figures.py RESULTS.json[#LIST[:KIND]] ... --out DIR
Lines are taken from the list "results", or LIST, of each file; only those of one kind ("train", say) where KIND is given. Where two lines measure the same
thing the later one stands. Writes DIR/gpu_targets.md, and by gnuplot DIR/gpu_rates.svg and .png. What no line measures is "not measured".
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

UNMEASURED = "not measured"


def kind_of(line):
    return line.get("bench") or line.get("case") or line.get("what") or ("scaling" if "scaling" in line else "")


def read(argument):
    """Lines of JSON of one file, each with the file's name as "source"."""
    path, _, chosen = argument.partition("#")
    name, _, kind = chosen.partition(":")
    with open(path, encoding="utf-8") as f:
        stored = json.load(f)
    lines = stored.get(name or "results")
    if not isinstance(lines, list):
        sys.exit(f"figures.py: {path} has no list \"{name or 'results'}\"")
    source = os.path.splitext(os.path.basename(path))[0]
    return [line | {"source": source} for line in lines if isinstance(line, dict) and kind in ("", kind_of(line))]


class Results:
    def __init__(self, lines):
        self.lines = lines

    def last(self, bench, /, **wanted):
        """The last line of this kind that has these values; a key that a line lacks has the value that older files mean."""
        usual = {"precision": "fp32", "way": "default", "clip": 0, "U": 0, "integrator": "em", "chosen": True}
        for line in reversed(self.lines):
            if kind_of(line) == bench and all(line.get(key, usual.get(key)) == value for key, value in wanted.items()):
                return line
        return None

    def rival(self, what, D, N, B, precision):
        """The fastest of other programs at this size on a GPU; chains may be a few more or less, as rates are a chain's."""
        found = [line for line in self.lines if line.get("what") == what and "rate" in line and "-cpu" not in line["peer"] and line.get("precision") == precision
                 and (line["D"], line["N"]) == (D, N) and abs(line["B"] - B) <= 0.1 * B]
        return max(found, key=lambda line: line["rate"], default=None)


def si(value, unit=""):
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g} {letter}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def energy(line, name):
    joules = line.get(f"joules_per_{name}")
    if joules is None:
        return ""
    return f"{1e9 * joules:.3g} nJ" if joules < 1e-6 else f"{1e6 * joules:.3g} uJ" if joules < 1e-3 else f"{1e3 * joules:.3g} mJ"


class Row:
    """One line of the table. `must` and `aim` are (share or None, ratio or None); `most` where the share is a time over a limit, which should be small."""

    def __init__(self, what, must, aim, most=False):
        self.what, self.must, self.aim, self.most = what, must, aim, most
        self.measured = self.limit = self.rival = self.source = self.energy = ""
        self.share = self.ratio = None

    def target(self, pair):
        share, ratio = pair
        parts = [] if share is None else [f"{share:g}x the limit" if self.most else f"{100 * share:.0f} %"]
        return " / ".join(parts + ([] if ratio is None else [f"{ratio:g}x"]))

    def reaches(self, pair):
        """Whether what was measured is as good as this; None where the pair asks for nothing that was measured."""
        share, ratio = pair
        answers = []
        if share is not None and self.share is not None:
            answers.append(self.share <= share if self.most else self.share >= share)
        if ratio is not None and self.ratio is not None:
            answers.append(self.ratio >= ratio)
        return all(answers) if answers else None

    def verdict(self):
        if not self.measured:
            return UNMEASURED
        must, aim = self.reaches(self.must), self.reaches(self.aim)
        if must is None and aim is None:
            return "no target"
        no_rival = ", no rival measured" if self.ratio is None and (self.must[1] or self.aim[1]) else ""
        return ("missed" if must is False else "aim" if aim else "must") + no_rival

    def markdown(self):
        share = "" if self.share is None else f"{self.share:.2f}x" if self.most else f"{100 * self.share:.0f} %"
        ratio = "" if self.ratio is None else f"{self.ratio:.3g}"
        cells = [self.what, self.target(self.must), self.target(self.aim), self.measured, self.limit, share, self.rival, ratio, self.energy, self.verdict(), self.source]
        return "| " + " | ".join(cells) + " |"


def compare(row, results, what, sizes, precision, rate):
    rival = results.rival(what, *sizes, precision)
    if rival:
        shown = f"{1e6 * rival['seconds']:.0f} us" if what == "train" and rival["seconds"] < 1 else si(rival["rate"], "/s")
        row.rival, row.ratio = f"{shown} ({rival['peer']})", rate / rival["rate"]


def small(results, D, chains):
    row = Row(f"chain-steps, D = {D}, N = 1000, relu, {chains} chains", (0.4, 1.5), (0.7, 4))
    line = results.last("chains", phi="relu", D=D, U=0, N=1000, chains=chains, integrator="em", chosen=True)
    if line:
        rate, limit = line["chain_steps_per_s"], results.last("issue limit", D=D)
        row.measured, row.share, row.source = si(rate, "/s"), line["share_of_issue_limit"], line["source"]
        row.limit = f"{si(limit['neurons_per_s'] / 1000, '/s')} (issue of instructions)" if limit else ""
        row.energy = energy(line, "chain_step")
        compare(row, results, "step", (D, 1000, chains), "fp32", rate)
    return row


def large(results, precision, N, chains, must, aim):
    row = Row(f"chain-steps, D = 300, N = {N}, {precision}, {chains} chains", must, aim)
    line = results.last("advance", phi="relu", D=300, N=N, chains=chains, precision=precision)
    if line:
        rate = line["chain_steps_per_s"]
        limit = line["tflop_per_s"] / line["share"] if line["share"] else 0.0
        row.measured, row.share, row.source = f"{si(rate, '/s')}, {line['tflop_per_s']:.0f} TFLOP/s", line["share"], line["source"]
        row.limit, row.energy = f"{limit:.0f} TFLOP/s (product of squares)", energy(line, "chain_step")
        compare(row, results, "step", (300, N, chains), precision, rate)
    return row


def train(results, D, N, B, way, must, aim):
    precision = "tf32" if way == "tf32" else "fp32"
    row = Row(f"training step, D = {D}, N = {N}, B = {B}, {precision}", must, aim, most=True)
    line = results.last("train", phi="relu", D=D, N=N, B=B, clip=0, way=way)
    if line:
        row.measured, row.source, row.energy = f"{line['step_us']:.4g} us", line["source"], energy(line, "training_step")
        if D > 16:  # the weights of a smaller one stay on the chip
            row.limit, row.share = f"{line['floor_us']:.3g} us (memory)", line["ratio"]
        compare(row, results, "train", (D, N, B), precision, 1e6 / line["step_us"])
    return row


def hee(results, sizes, chains, kind):
    row = Row(f"HEE step, {'-'.join(map(str, sizes))}, {chains} chains, {kind}", (None, None), (None, None))
    line = results.last("hee", sizes=sizes, chains=chains, kind=kind)
    if line:
        row.measured, row.share, row.source = f"{line['step_us']:.4g} us", line["share"], line["source"]
        row.limit, row.energy = f"{line['floor_us']:.4g} us (fp32 products)", energy(line, "chain_step")
    return row


def rows_of(results):
    nothing = (None, None)
    rows = [small(results, D, chains) for D, chains in ((1, 270336), (1, 1081344), (2, 270336), (2, 1081344))]
    rows += [large(results, "bf16", 20000, chains, (0.4, 1.2), (0.65, 2)) for chains in (16384, 65536)]
    rows += [large(results, "tf32", 20000, 16384, nothing, nothing)]
    rows += [large(results, "fp32", N, 16384, (0.8, None), (0.9, None)) for N in (20000, 2000)]
    rows += [train(results, 300, 20000, 64, "default", (2.5, 1.5), (None, 3)), train(results, 300, 20000, 64, "tf32", (2.5, 1.5), (1.3, 3))]
    rows += [train(results, D, N, B, "default", (None, 1.5), (None, 3)) for D, N, B in ((300, 2000, 64), (100, 4000, 128), (1, 1000, 32))]
    rows += [hee(results, [784, 1024, 256], chains, kind) for chains in (1024, 16384) for kind in ("exact", "sampled")]
    return rows + [hee(results, [144, 196], 256, "patches")]


def table(rows):
    head = ["what", "must", "aim", "measured", "limit", "share", "best rival", "ratio", "energy", "reaches", "from"]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + [row.markdown() for row in rows]) + "\n"


# Curves

COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7a5195", "#8c6d31", "#5b6770"]


def curves(results, along):
    """{name: {x: rate}} against chains, N or D: lines of the scaling bench, else what other benches measured at some of these sizes."""
    found = {}
    fixed = {"chains": ("D", "N"), "N": ("D", "chains"), "D": ("N", "chains")}[along]
    lines = [line for line in results.lines if line.get("scaling") == along]
    if not lines:
        lines = [line for line in results.lines if kind_of(line) in ("chains", "advance") and line["phi"] == "relu" and line.get("chosen", True)
                 and line.get("U", 0) == 0 and line.get("integrator", "em") == "em"]
    for line in lines:
        name = ", ".join([f"{key} = {line[key]}" for key in fixed] + [line.get("precision", "fp32")])
        found.setdefault(name, {})[line[along]] = line["chain_steps_per_s"]
    return {name: points for name, points in found.items() if len(points) >= 3}


def panel(title, x_label, named, data):
    """gnuplot's lines for one panel; its points go to `data`."""
    plots = []
    for (name, points), color in zip(sorted(named.items(), key=lambda item: -max(item[1].values())), COLORS * 3):
        block = f"$d{len(data)}"
        data.append(f"{block} << EOD\n" + "\n".join(f"{x} {rate}" for x, rate in sorted(points.items())) + "\nEOD")
        plots.append(f"{block} using 1:2 with linespoints pt 7 ps 0.5 lw 2 lc rgb '{color}' title '{name}'")
    every = [x for points in named.values() for x in points]
    return [f"set title '{title}'", f"set xlabel '{x_label}'", f"set xrange [{0.8 * min(every)}:{1.25 * max(every)}]", "plot " + ", ".join(plots)] if plots else []


def script(results, rows):
    data, body = [], []
    for along, label in (("chains", "chains"), ("N", "neurons N"), ("D", "dimension D")):
        lines = panel(f"chain-steps a second against {label}", label, curves(results, along), data)
        if lines:
            body += ["set logscale xy", "set format xy '10^{%L}'", "set key bottom right" if along == "chains" else "set key bottom left", *lines]
    shares = [row for row in rows if row.share is not None and not row.most]
    if shares:
        data.append("$shares << EOD\n" + "\n".join(f"{i} {100 * row.share} {-1 if row.must[0] is None else 100 * row.must[0]}" for i, row in enumerate(shares)) + "\nEOD")
        names = ", ".join(f"'{row.what.replace('chain-steps, ', '').replace(' chains', '').replace(', relu', '')}' {i}" for i, row in enumerate(shares))
        body += ["unset logscale", "set format xy '%g'", "set title 'share of the limit, %, and must'", "set xlabel ''", "set key off", f"set ytics ({names}) font ',9'", f"set yrange [{len(shares) - 0.4}:-0.6]",
                 "set xrange [0:100]", "set lmargin 34",
                 "plot $shares using (0.5 * $2):1:(0.5 * $2):(0.35) with boxxyerror fs solid fc rgb '#9ecae1', "
                 "'' using 3:1:(0):(0.4) with xyerrorbars pt 0 lw 2 lc rgb '#d55e00'"]
    return data, body


def draw(results, rows, out):
    data, body = script(results, rows)
    n = sum(text.startswith("plot ") for text in body)
    if n == 0:
        return "no curves: nothing to draw"
    if not shutil.which("gnuplot"):
        return "no curves: gnuplot was not found (Debian: gnuplot-nox)"
    style = ["set border 3 lc rgb '#9aa5b1'", "set tics nomirror textcolor rgb '#5b6770'", "set grid lc rgb '#e9ecef' lt 1", "set key font ',9' spacing 0.9"]
    text = "\n".join(data) + "\n"
    for suffix, terminal in (("svg", "svg size 1000,{h} font 'Helvetica,12' background '#ffffff'"), ("png", "pngcairo size 2000,{h2} font 'sans,12' fontscale 1.5 linewidth 1.5")):
        height = 400 * ((n + 1) // 2)
        text += f"reset\nset terminal {terminal.format(h=height, h2=2 * height)}\nset output '{os.path.join(out, 'gpu_rates.' + suffix)}'\n"
        text += "\n".join([f"set multiplot layout {(n + 1) // 2},{min(n, 2)}", *style, *body, "unset multiplot", "set output", ""])
    done = subprocess.run(["gnuplot"], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"figures.py: gnuplot: {done.stderr.strip()}")
    return f"{os.path.join(out, 'gpu_rates.png')}: {n} panels"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", metavar="RESULTS.json[#LIST[:KIND]]")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    try:
        results = Results([line for argument in options.results for line in read(argument)])
    except (OSError, ValueError) as error:
        sys.exit(f"figures.py: {error}")
    rows = rows_of(results)
    os.makedirs(options.out, exist_ok=True)
    with open(os.path.join(options.out, "gpu_targets.md"), "w", encoding="utf-8") as f:
        f.write(table(rows))
    print(table(rows), end="")
    print(draw(results, rows, options.out))


if __name__ == "__main__":
    main()
