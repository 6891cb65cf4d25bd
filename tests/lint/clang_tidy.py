#!/usr/bin/python3
"""Runs clang-tidy over our sources, on all cores.

  clang_tidy.py BUILD_DIR    every source of BUILD_DIR/compile_commands.json that is ours (not the
                             generated ones); exit 1 and each finding once
  clang_tidy.py --self-test  shows that .clang-tidy catches bad examples and lets a good one pass

Sources with the same flags are looked at together, as one text, so that the headers that they share
are read and checked once: most of the time goes into these. What clang itself says about such a
text, for instance of a name that two files use, counts only if it says so of a file alone.

What passed is remembered in ~/.cache/shadowd/clang-tidy (below $XDG_CACHE_HOME, if that is set)
under a digest of the file, its command, all of our headers that it includes, the configuration, and
the versions of the packages; so a second run takes seconds, in another clone too. Stamps that were
not made for a month are removed.
"""

import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("client", "forecast", "server", "storage", "tests")
CONFIGS = (ROOT / ".clang-tidy", ROOT / "tests/.clang-tidy")  # The second relaxes the first.
PACKAGES = ROOT / ".ci/packages"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache",
                     "shadowd/clang-tidy")
UNUSED_SECONDS_MAX = 30 * 86400
FILES_TOGETHER_MAX = 16  # Of the adapters: 0.7 GB. More would save little.
CLANG_TIDY = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")

_INCLUDE = re.compile(rb'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
# Names that a formatted source declares for itself: those at the beginning of a line.
_NAME = re.compile(r"^(?:(?:struct|class|enum class) |(?!namespace|using|[A-Z_]+\()"
                   r"(?:[\w:][^(={;\n]*[ *&>])?(?=\w+(?:[({;[]| =)))(\w+)", re.MULTILINE)

# check -> a file that it must catch.
BAD = {
    "readability-function-size": "int F(int a) {\n" + "  a *= 2;\n" * 60 + "  return a;\n}\n",
    "readability-identifier-naming": "class pool_state {};\n",
    "modernize-use-override": "struct A { virtual ~A(); };\nstruct B : A { virtual ~B(); };\n",
    "cppcoreguidelines-avoid-non-const-global-variables": "int count = 0;\n",
    "bugprone-use-after-move": "#include <string>\n#include <utility>\n"
                               "void Take(std::string a);\nsize_t F(std::string a) {\n"
                               "  Take(std::move(a));\n  return a.size();\n}\n",
    "performance-for-range-copy": "#include <string>\n#include <vector>\n"
                                  "size_t F(const std::vector<std::string>& all) {\n"
                                  "  size_t sum = 0;\n"
                                  "  for (const std::string one : all) sum += one.size();\n"
                                  "  return sum;\n}\n",
}
GOOD = ("class PoolState {\n public:\n  int Level() const { return level_; }\n\n"
        " private:\n  int level_ = 0;\n};\n\nconstexpr int kMax = 3;\n"
        "int F(int a) {\n" + "  a *= 2;\n" * 50 + "  return a;\n}\n")
# Sources to look at together: one name is twice there, and a fault is in the last.
TOGETHER = {"a.cc": "int Two() { return 2; }\n",
            "b.cc": "  int Two() { return 2; }\n",  # Not formatted, so not seen beforehand.
            "c.cc": "int One() { return 1; }\n",
            "d.cc": "\nint count = 0;\n"}


def toolchain():
    """What decides beside our own files: the versions of clang-tidy and of the packages."""
    names = [line.split()[0] for line in PACKAGES.read_text().splitlines()
             if line.strip() and not line.startswith("#")]
    versions = [[CLANG_TIDY, "--version"], ["dpkg-query", "-W", *names]]
    return b"".join(subprocess.run(command, capture_output=True, check=False).stdout
                    for command in versions if shutil.which(command[0]))


def relative(path):
    """Below the checkout, so that clones share what they know."""
    return os.path.relpath(path, ROOT)


def digest_of(entry, include_folders, tools):
    """Of everything that decides what clang-tidy says about `entry`."""
    digest = hashlib.sha256(tools + entry["command"].replace(str(ROOT), "").encode())
    waiting, seen = [pathlib.Path(entry["file"]), *CONFIGS], set()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        content = path.read_bytes()
        digest.update(relative(path).encode() + b"\0" + content + b"\0")
        waiting += [folder / name.decode() for name in sorted(_INCLUDE.findall(content))
                    for folder in include_folders]
    return digest.hexdigest()


def run_clang_tidy(*arguments):
    """Empty where nothing was found."""
    done = subprocess.run([CLANG_TIDY, "--quiet", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    # Without a finding, stderr only counts what was suppressed.
    return "" if done.returncode == 0 else done.stdout + done.stderr


def without_precompiled_headers(command):
    """clang cannot read g++'s; and a file has to include what it uses."""
    command = re.sub(r" -Winvalid-pch| -fpch-preprocess", "", command)
    return re.sub(r" -include \S+/cmake_pch\.hxx", "", command)


def expanded(entries):
    """With the sources of a unity build one by one, whichever batch they are in."""
    for entry in entries:
        path = pathlib.Path(entry["file"])
        if path.parent.name != "Unity":
            yield entry
            continue
        for source in _INCLUDE.findall(path.read_bytes()):
            yield {"file": source.decode(), "command": flags_of(entry)}


def flags_of(entry):
    return entry["command"].partition(" -o ")[0]


def together(entries):
    """Lists of entries that one run can look at: with the same flags and configuration, and as far
    as can be seen without two things of one name. The longest first."""
    groups = collections.defaultdict(list)
    for entry in entries:
        path = pathlib.Path(entry["file"])
        names = set(_NAME.findall(path.read_text()))
        kind = (flags_of(entry), CONFIGS[1].parent in path.parents)
        for members, taken in groups[kind]:
            if len(members) < FILES_TOGETHER_MAX and not taken & names:
                members.append(entry)
                taken |= names
                break
        else:
            groups[kind].append(([entry], names))
    return sorted((members for those in groups.values() for members, _ in those),
                  key=len, reverse=True)


def look_at(members):
    """What clang-tidy finds in the sources of `members`, one list of `together`, and in our headers
    that they include."""
    paths = [member["file"] for member in members]
    flags = shlex.split(flags_of(members[0]))[1:]
    if len(paths) == 1:
        return run_clang_tidy(paths[0], "--", *flags)
    lines, origins = [], []
    for path in paths:
        own = pathlib.Path(path).read_text().split("\n")
        lines += own
        origins += [f"{path}:{number}" for number in range(1, len(own) + 1)]
    text = members[0]["text"]
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("\n".join(lines))
    output = run_clang_tidy(text, "--", *flags)
    return re.sub(rf"{re.escape(str(text))}:(\d+)", lambda at: origins[int(at[1]) - 1], output)


def outputs_of(members):
    """Pairs of members and what was found in them."""
    output = look_at(members)
    if len(members) == 1 or "[clang-diagnostic-" not in output:
        return [(members, output)]
    named = [member for member in members if f"{member['file']}:" in output] or members
    others = [member for member in members if member not in named]
    return [pair for part in [*([member] for member in named), others] if part
            for pair in outputs_of(part)]


def lay_out(entries, texts):
    """Prepares `entries` for `outputs_of`. Texts of several sources will lie in the folder `texts`,
    which mirrors ROOT, with copies of the configuration."""
    for config in CONFIGS:
        (texts / relative(config)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(config, texts / relative(config))
    for entry in entries:
        entry["command"] = without_precompiled_headers(entry["command"])
        entry["text"] = texts / relative(entry["file"])


def forget_unused():
    for stamp in CACHE.iterdir():
        if time.time() - stamp.stat().st_mtime > UNUSED_SECONDS_MAX:
            stamp.unlink(missing_ok=True)


def check_tree(build):
    ours = tuple(f"{ROOT}/{folder}/" for folder in FOLDERS)
    known = json.loads((build / "compile_commands.json").read_text())
    entries = [entry for entry in expanded(known)
               if entry["file"].startswith(ours) and pathlib.Path(entry["file"]).is_file()]
    lay_out(entries, build / "clang-tidy")
    CACHE.mkdir(parents=True, exist_ok=True)
    forget_unused()
    include_folders = [ROOT, build / "proto/gen"]
    tools = toolchain()
    for entry in entries:
        entry["stamp"] = CACHE / digest_of(entry, include_folders, tools)

    def check(group):
        found = outputs_of(group)
        for member in [member for members, output in found if not output for member in members]:
            member["stamp"].touch()
        return "".join(output for _, output in found)

    groups = together([entry for entry in entries if not entry["stamp"].exists()])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = list(pool.map(check, groups))
    # A header's finding comes with every file that includes it: shown once.
    counts = re.compile(r"\d+ (warning|error)s?\b.* (generated|treated)")
    findings = dict.fromkeys(line for output in outputs for line in output.splitlines()
                             if not counts.match(line))
    print("\n".join(findings))
    count = sum(1 for line in findings if re.search(r": (error|warning): ", line))
    print(f"clang-tidy: {len(entries)} files, {count} findings")
    return bool(entries) and not any(outputs)


def check_config():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        example = pathlib.Path(folder) / "example.cc"
        arguments = [f"--config-file={CONFIGS[0]}", str(example), "--", "-std=c++20"]
        for check, text in BAD.items():
            example.write_text(text)
            if f"[{check}," not in run_clang_tidy(*arguments):
                failures.append(f"{check} does not catch:\n{text}")
        example.write_text(GOOD)
        found = run_clang_tidy(*arguments)
        if found:
            failures.append(f"the good example is caught:\n{found}")
    print("\n".join(failures + [f"clang-tidy: {len(BAD)} bad examples, {len(failures)} failures"]))
    return not failures


def check_together():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shutil.copy(CONFIGS[0], folder)
        for file, text in TOGETHER.items():
            (folder / file).write_text(text)
        groups = together([{"file": str(folder / file), "text": folder / "text.cc",
                            "command": f"c++ -std=c++20 -o {file}.o -c {file}"}
                           for file in TOGETHER])
        outputs = ["".join(output for _, output in outputs_of(groups[0])), look_at(groups[0][2:])]
    found = [re.findall(r"(\S+): error: ", output) for output in outputs]
    if found == [[f"{folder}/d.cc:2:5"]] * 2:
        return True
    print("Not just the fault at d.cc:2:5 is found in a.cc to d.cc, and in c.cc and d.cc:\n",
          *outputs)
    return False


def main():
    if CLANG_TIDY is None:
        print("clang-tidy-14 is missing: apt-get install clang-tidy-14")
        return 1
    if sys.argv[1:] == ["--self-test"]:
        return 0 if all([check_config(), check_together()]) else 1
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    return 0 if check_tree(pathlib.Path(sys.argv[1]).resolve()) else 1


if __name__ == "__main__":
    sys.exit(main())
