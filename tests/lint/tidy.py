#!/usr/bin/python3
"""Holds the house rules of CONTRIBUTING.md that a compiler does not.

  tidy.py              checks the tree that this file lies in; exit 1 and one line per finding
  tidy.py --self-test  shows that every rule catches a bad example and lets a good one pass

Files below tests/data are not ours to style: every rule leaves them out.
"""

import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True  # The tree stays as it was.

import examples
import includes
import rules
from source import Source

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = {**rules.RULES, **includes.RULES}
SKIPPED_FOLDERS = {".git", ".cache", "build", "__pycache__"}  # As in .gitignore.


def list_paths(root):
    """Paths of the files that are or could be committed, relative to `root`."""
    git = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z", "-co",
           "--exclude-standard"]
    try:
        listed = subprocess.run(git, capture_output=True, check=True).stdout.decode().split("\0")
        paths = [path for path in listed if path and (root / path).is_file()]
    except (OSError, subprocess.CalledProcessError):  # A tree without git: an unpacked archive.
        files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        paths = [str(path) for path in files if not SKIPPED_FOLDERS & set(path.parts)]
    return sorted(path for path in paths if not path.startswith("tests/data/"))


def find(sources):
    """All findings of all rules as (rule, path, line, message); line 0: the file as a whole."""
    return [(rule, path, line, message)
            for rule, check in RULES.items()
            for path, line, message in check(sources)]


def report(findings):
    for rule, path, line, message in findings:
        print(f"{path}:{line}: {message} [{rule}]" if line else f"{path}: {message} [{rule}]")


def check_tree(root):
    sources = [Source.read(root, path) for path in list_paths(root)]
    sources = [source for source in sources if source is not None]
    findings = find(sources)
    report(findings)
    print(f"tidy: {len(sources)} files, {len(RULES)} rules, {len(findings)} findings")
    if not sources:
        print("tidy: no file found, so nothing was checked")
    return not findings and bool(sources)


def check_rules():
    """Each bad example must be caught by its rule, each good one pass every rule."""
    failures = []
    for rule, bad, good in examples.EXAMPLES:
        caught = {found[0] for found in find([Source(*file) for file in bad.items()])}
        if rule not in caught:
            failures.append(f"{rule}: does not catch {bad}")
        for found in find([Source(*file) for file in good.items()]):
            failures.append(f"{rule}: its good example is caught: {found}")
    shown = {rule for rule, _, _ in examples.EXAMPLES}
    failures += [f"{rule}: has no example" for rule in RULES if rule not in shown]
    print("\n".join(failures + [f"tidy: {len(examples.EXAMPLES)} examples, "
                                f"{len(RULES)} rules, {len(failures)} failures"]))
    return not failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 0 if check_rules() else 1
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    return 0 if check_tree(ROOT) else 1


if __name__ == "__main__":
    sys.exit(main())
