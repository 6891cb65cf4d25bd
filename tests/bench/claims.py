#!/usr/bin/python3
"""Recomputes the figures that the documents quote, and prints those that moved.

  claims.py BUILD_DIR [--kind loss|time] [--update] [NAME...]
      runs the commands of claims.txt (all, or those of the named runs) with the programs of
      BUILD_DIR/bin; exit 1 if a figure moved further than it may, or is not printed any more.
      --update writes what was measured into claims.txt.
  claims.py --quotes
      only checks that each document quotes the ledger's figures; exit 1 if one does not.
  claims.py --self-test
      shows that a figure that moved, one that is gone and a stale quotation are found.

claims.txt, by line; `#` begins a comment:

  run NAME loss|time: COMMAND
  claim FIGURE +- TOLERANCE: PATTERN
  claim <= FIGURE: PATTERN
  quote DOCUMENT: TEXT

A run's claims follow it, a claim's quotes follow that. COMMAND is run in the top folder by bash,
with BUILD_DIR/bin first on its PATH. PATTERN is a regular expression; its `{}` is the figure in the
command's output. TOLERANCE is absolute, or a share of the figure if it ends in `%`. `<=`: a
promise; no less than what was measured, and --update leaves it as it is. TEXT must stand
in DOCUMENT (white space folded), its `{}` being the figure as the ledger writes it. A `loss` does
not depend on the machine: CI recomputes it. A `time` does: it is measured by hand on a quiet one.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
LEDGER = pathlib.Path(__file__).with_name("claims.txt")
NUMBER = r"([0-9]*\.?[0-9]+)"
RUN_SECONDS_MAX = 3600


class Claim:
    def __init__(self, line, figure, tolerance, pattern):
        self.line = line  # Of the ledger, from 0.
        self.figure = figure  # As written.
        self.tolerance = tolerance  # Empty: no more than `figure`.
        self.pattern = pattern
        self.quotes = []  # (document, text)

    def form(self):
        return f"{self.figure} +- {self.tolerance}" if self.tolerance else f"<= {self.figure}"

    def holds(self, measured):
        if not self.tolerance:
            return float(measured) <= float(self.figure)
        return abs(float(measured) - float(self.figure)) <= self.allowed()

    def allowed(self):
        if self.tolerance.endswith("%"):
            return float(self.figure) * float(self.tolerance[:-1]) / 100
        return float(self.tolerance)

    def measured(self, output):
        """The figure in `output`, or None."""
        pattern = self.pattern.replace("{}", NUMBER)
        found = re.search(pattern, output, re.MULTILINE)
        return found.group(1) if found else None


class Run:
    def __init__(self, name, kind, command):
        self.name = name
        self.kind = kind
        self.command = command
        self.claims = []


def parse(lines):
    """The runs of a ledger. ValueError, with the line: it is none."""
    runs = []
    for number, raw in enumerate(lines):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            word, rest = line.split(" ", 1)
            head, tail = rest.split(": ", 1)
            if word == "run":
                name, kind = head.split()
                if kind not in ("loss", "time"):
                    raise ValueError(kind)
                runs.append(Run(name, kind, tail))
            elif word == "claim":
                if head.startswith("<= "):
                    figure, tolerance = head[3:].strip(), ""
                else:
                    figure, tolerance = head.split(" +- ")
                    float(tolerance.strip().rstrip("%"))
                float(figure)
                if tail.count("{}") != 1:
                    raise ValueError("one {} is wanted")
                runs[-1].claims.append(Claim(number, figure, tolerance.strip(), tail))
            elif word == "quote":
                runs[-1].claims[-1].quotes.append((head, tail))
            else:
                raise ValueError(word)
        except (ValueError, IndexError) as error:
            raise ValueError(f"claims.txt:{number + 1}: {line}: {error}") from error
    return runs


def folded(text):
    return " ".join(text.split())


def stale_quotes(runs, read):
    """What documents do not say. `read`: a document's text by its path."""
    problems = []
    for run in runs:
        for claim in run.claims:
            for document, text in claim.quotes:
                wanted = folded(text.replace("{}", claim.figure))
                if wanted not in folded(read(document)):
                    problems.append(f'{document} does not say "{wanted}" ({run.name})')
    return problems


def output_of(run, build):
    environment = {**os.environ, "PATH": f"{build}/bin:{os.environ['PATH']}", "BUILD": str(build)}
    done = subprocess.run(["bash", "-c", run.command], cwd=TOP, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          timeout=RUN_SECONDS_MAX)
    if done.returncode != 0:
        print(done.stdout)
        print(f"claims: {run.name}: exit code {done.returncode} of: {run.command}")
        return None
    return done.stdout


def compare(run, output):
    """Rows (claim, measured or None, whether it moved too far)."""
    rows = []
    for claim in run.claims:
        measured = claim.measured(output)
        moved = measured is None or not claim.holds(measured)
        rows.append((claim, measured, moved))
    return rows


def report(run, rows):
    for claim, measured, moved in rows:
        verdict = "MOVED" if moved else "holds"
        print(f"{verdict}  {run.name}: {claim.form()}, "
              f"measured {measured or 'nothing'}: {claim.pattern}")


def update(lines, rows):
    for claim, measured, _ in rows:
        if measured is not None and claim.tolerance:
            lines[claim.line] = lines[claim.line].replace(claim.figure, measured, 1)


def check(arguments):
    lines = LEDGER.read_text().split("\n")
    runs = [run for run in parse(lines)
            if (arguments.kind in (None, run.kind)) and
            (not arguments.names or run.name in arguments.names)]
    if not runs:
        print("claims: no such run")
        return False
    held = moved = 0
    for run in runs:
        output = output_of(run, pathlib.Path(arguments.build).resolve())
        rows = compare(run, output or "")
        report(run, rows)
        moved += sum(row[2] for row in rows) + (output is None and not rows)
        held += sum(not row[2] for row in rows)
        update(lines, rows)
    if arguments.update:
        LEDGER.write_text("\n".join(lines))
    print(f"claims: {held} hold, {moved} moved")
    return moved == 0


def check_quotes():
    runs = parse(LEDGER.read_text().split("\n"))
    problems = stale_quotes(runs, lambda document: (TOP / document).read_text())
    for problem in problems:
        print(problem)
    count = sum(len(claim.quotes) for run in runs for claim in run.claims)
    print(f"claims: {count} quotations, {len(problems)} stale")
    return not problems and count > 0


def self_test():
    ledger = ["run demo loss: true", "  claim 0.50 +- 0.01: rel {}", "  quote A.md: is {} today",
              "  claim 20 +- 10%: took {} ms", "  claim <= 30: took {} ms"]
    run = parse(ledger)[0]
    moved = [row[2] for row in compare(run, "rel 0.505, took 25 ms")]
    gone = [row[1] for row in compare(run, "nothing")]
    lines = list(ledger)
    update(lines, compare(run, "rel 0.61, took 21 ms"))
    results = [
        moved == [False, True, False],
        gone == [None, None, None],
        [row[2] for row in compare(run, "took 31 ms")] == [True, True, True],
        stale_quotes([run], lambda _: "it is\n0.50 today") == [],
        len(stale_quotes([run], lambda _: "it is 0.51 today")) == 1,
        lines[1] == "  claim 0.61 +- 0.01: rel {}" and lines[3].startswith("  claim 21 +- 10%"),
        lines[4] == ledger[4],
    ]
    for bad in (["claim 1 +- 1: {}"], ["run a loss: x", "claim 1 +- : {}"], ["run a b: true"],
                ["run a loss: x", "claim 1 +- 1: none"]):
        try:
            parse(bad)
            results.append(False)
        except ValueError:
            results.append(True)
    print(f"claims: {sum(results)} of {len(results)} self-tests pass")
    return all(results)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--kind", choices=["loss", "time"])
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--quotes", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        passed = self_test()
    elif arguments.quotes:
        passed = check_quotes()
    elif arguments.build:
        passed = check(arguments)
    else:
        parser.error("BUILD_DIR, --quotes or --self-test")
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
