#!/usr/bin/python3
"""Runs clang-tidy over our sources, on all cores.

  clang_tidy.py BUILD_DIR    every source of BUILD_DIR/compile_commands.json that is ours (not the
                             generated ones); exit 1 and each finding once
  clang_tidy.py --self-test  shows that .clang-tidy catches bad examples and lets a good one pass

What passed is remembered in ~/.cache/shadowd/clang-tidy (below $XDG_CACHE_HOME, if that is set)
under a digest of the file, its command, all of our headers that it includes, the configuration, and
the versions of the packages; so a second run takes seconds, in another clone too. Stamps that were
not made for a month are removed.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
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
CLANG_TIDY = shutil.which("clang-tidy-14") or shutil.which("clang-tidy")

_INCLUDE = re.compile(rb'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)

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


def run_clang_tidy(arguments):
    """Empty where nothing was found."""
    done = subprocess.run([CLANG_TIDY, "--quiet", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    # Without a finding, stderr only counts what was suppressed.
    return "" if done.returncode == 0 else done.stdout + done.stderr


def without_precompiled_headers(command):
    """clang cannot read g++'s; and a file has to include what it uses."""
    command = re.sub(r" -Winvalid-pch| -fpch-preprocess", "", command)
    return re.sub(r" -include \S+/cmake_pch\.hxx", "", command)


def forget_unused():
    for stamp in CACHE.iterdir():
        if time.time() - stamp.stat().st_mtime > UNUSED_SECONDS_MAX:
            stamp.unlink(missing_ok=True)


def check_tree(build):
    ours = tuple(f"{ROOT}/{folder}/" for folder in FOLDERS)
    entries = [entry for entry in json.loads((build / "compile_commands.json").read_text())
               if entry["file"].startswith(ours) and pathlib.Path(entry["file"]).is_file()]
    for entry in entries:
        entry["command"] = without_precompiled_headers(entry["command"])
    commands = build / "clang-tidy"
    commands.mkdir(exist_ok=True)
    (commands / "compile_commands.json").write_text(json.dumps(entries))
    CACHE.mkdir(parents=True, exist_ok=True)
    forget_unused()
    include_folders = [ROOT, build / "proto/gen"]
    tools = toolchain()

    def check(entry):
        stamp = CACHE / digest_of(entry, include_folders, tools)
        output = "" if stamp.exists() else run_clang_tidy(["-p", str(commands), entry["file"]])
        if not output:
            stamp.touch()
        return output

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = list(pool.map(check, entries))
    # A header's finding comes with every file that includes it: shown once.
    findings = dict.fromkeys(line for output in outputs for line in output.splitlines()
                             if not re.match(r"\d+ warnings? (generated|treated)", line))
    print("\n".join(findings))
    failed = sum(1 for output in outputs if output)
    print(f"clang-tidy: {len(entries)} files, {failed} with findings")
    return bool(entries) and not failed


def check_config():
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        example = pathlib.Path(folder) / "example.cc"
        arguments = [f"--config-file={CONFIGS[0]}", str(example), "--", "-std=c++20"]
        for check, text in BAD.items():
            example.write_text(text)
            if f"[{check}," not in run_clang_tidy(arguments):
                failures.append(f"{check} does not catch:\n{text}")
        example.write_text(GOOD)
        found = run_clang_tidy(arguments)
        if found:
            failures.append(f"the good example is caught:\n{found}")
    print("\n".join(failures + [f"clang-tidy: {len(BAD)} bad examples, {len(failures)} failures"]))
    return not failures


def main():
    if CLANG_TIDY is None:
        print("clang-tidy-14 is missing: apt-get install clang-tidy-14")
        return 1
    if sys.argv[1:] == ["--self-test"]:
        return 0 if check_config() else 1
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    return 0 if check_tree(pathlib.Path(sys.argv[1]).resolve()) else 1


if __name__ == "__main__":
    sys.exit(main())
