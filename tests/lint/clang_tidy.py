#!/usr/bin/python3
"""Runs clang-tidy over our sources, on all cores.

  clang_tidy.py BUILD_DIR    every source of BUILD_DIR/compile_commands.json that is ours (not the
                             generated ones); exit 1 and each finding once
  clang_tidy.py --self-test  shows that .clang-tidy catches bad examples and lets a good one pass

What passed is remembered in BUILD_DIR/clang-tidy-passed under a digest of the file, its command,
all of our headers that it includes, and the configuration; so the second run takes seconds.
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("client", "forecast", "server", "storage", "tests")
CONFIGS = (ROOT / ".clang-tidy", ROOT / "tests/.clang-tidy")  # The second relaxes the first.
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


def digest_of(entry, include_folders):
    """Of everything of ours that decides what clang-tidy says about `entry`."""
    digest = hashlib.sha256(entry["command"].encode())
    waiting, seen = [pathlib.Path(entry["file"]), *CONFIGS], set()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        content = path.read_bytes()
        digest.update(str(path).encode() + b"\0" + content + b"\0")
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


def check_tree(build):
    ours = tuple(f"{ROOT}/{folder}/" for folder in FOLDERS)
    entries = [entry for entry in json.loads((build / "compile_commands.json").read_text())
               if entry["file"].startswith(ours) and pathlib.Path(entry["file"]).is_file()]
    for entry in entries:
        entry["command"] = without_precompiled_headers(entry["command"])
    passed = build / "clang-tidy-passed"
    passed.mkdir(exist_ok=True)
    (passed / "compile_commands.json").write_text(json.dumps(entries))
    include_folders = [ROOT, build / "proto/gen"]

    def check(entry):
        stamp = passed / digest_of(entry, include_folders)
        output = "" if stamp.exists() else run_clang_tidy(["-p", str(passed), entry["file"]])
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
