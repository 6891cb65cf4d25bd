"""The rules about one file or the tree: sizes, words, names, clocks, globals, comments.

A rule takes all sources and yields (path, line, message).
"""

import ast
import collections
import re

FILE_LINES_MAX = 400
LINE_COLUMNS_MAX = 100
FOLDER_FILES_MAX = 25
FUNCTION_LINES_MAX = 60

TOP_LEVEL = {
    ".ci", ".clang-format", ".clang-tidy", ".editorconfig", ".gitattributes", ".gitignore",
    "ARCHITECTURE.md", "CHANGELOG.md", "CMakeLists.txt", "CMakePresets.json", "CONTRIBUTING.md",
    "LICENSE", "README.md", "SECURITY.md", "client", "forecast", "proto", "quickstart", "server",
    "storage", "systemd", "tests",
}
CLOCK_FILES = {"server/core/clock.h", "server/core/clock.cc"}
SLEEPING_TEST_FILE = "tests/fakes/poll.h"

# Spelled in pieces, or this file would find itself.
_UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|NO" r"LINT\w*)\b")
_OUTSIDE = re.compile(r"\.\./shar" r"ed|(?<![\w.}])/wo" r"rk/")
_VAGUE = {"util", "utils", "common", "helper", "helpers", "manager", "managers"}
_TYPE_NAME = re.compile(r"\b(?:class|struct|enum|namespace|concept)\s+(?:class\s+)?(\w+)")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SLEEP = re.compile(r"\b(sleep_for|sleep_until|SleepFor|usleep|nanosleep|clock_nanosleep)\b"
                    r"|(?<![\w.>])sleep\s*\(")
_THREAD = re.compile(r"\bstd::(jthread|thread|async)\b|\b(StepWorkers|BackgroundWorkers)\b")
_TIME = re.compile(r"\b\w+_clock::now\b|\babsl::(Now|GetCurrentTimeNanos)\b"
                   r"|\b(gettimeofday|clock_gettime|timespec_get|gpr_now)\b"
                   r"|(?<![\w.>])time\s*\(\s*(nullptr|NULL|0|&\s*\w+)\s*\)")
_ABSL_MUTEX = re.compile(r"\babsl::(Mutex|\w*MutexLock|CondVar)\b")
_SANITIZER = re.compile(r"\b__SANITIZE_\w+|\b__has_feature\b")
_MUTABLE_STATIC = re.compile(r"^\s*(inline\s+)?(static|thread_local)\b(?!.*\b(const|constexpr)\b)"
                             r"[^()]*(=|\{|;)")
_MUTABLE_MARK = re.compile(r"^\s*[\w:<>,&* ]+\bg_\w+\s*(=|\{|;)")
_FIELD = re.compile(r"^\s*(?:optional |repeated )?[\w.]+(?:<[\w., ]+>)?\s+\w+\s*=\s*\d+\s*[;\[]")
_BLOCK = re.compile(r"\b(enum|message|service|oneof)\s+\w+\s*\{|[{}]")


def _match_lines(sources, pattern, message, applies, raw=False):
    """A finding for each line of code (`raw`: of text) that `pattern` matches; {} is the match."""
    for source in sources:
        if not applies(source):
            continue
        for number, line in enumerate(source.lines if raw else source.code, 1):
            match = pattern.search(line)
            if match:
                yield source.path, number, message.format(match[0].strip())


def top_level(sources):
    for entry in sorted({source.path.split("/")[0] for source in sources} - TOP_LEVEL):
        yield entry, 0, "does not belong at the top of the tree"


def folder_size(sources):
    count = collections.Counter(source.folder for source in sources)
    for folder, files in sorted(count.items()):
        if files > FOLDER_FILES_MAX:
            yield folder, 0, f"holds {files} files, at most {FOLDER_FILES_MAX}: split it"


def file_length(sources):
    for source in sources:
        if source.is_code and len(source.lines) > FILE_LINES_MAX:
            yield source.path, 0, f"{len(source.lines)} lines, at most {FILE_LINES_MAX}: split it"


def line_length(sources):
    for source in sources:
        for number, line in enumerate(source.lines, 1):
            if source.is_code and len(line) > LINE_COLUMNS_MAX:
                yield source.path, number, f"{len(line)} columns, at most {LINE_COLUMNS_MAX}"


def _test_cases(source):
    """(line, lines of the body) of each TEST_CASE: clang-tidy does not look into Catch's macros."""
    begin = None
    for number, line in enumerate(source.code, 1):
        if re.match(r"(TEST_CASE|SCENARIO|TEMPLATE_\w+)\(", line):
            begin = number
        elif begin and line.startswith("}"):
            yield begin, number - begin - 1
            begin = None


def _python_functions(source):
    try:
        tree = ast.parse("\n".join(source.lines))
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.lineno, node.end_lineno - node.lineno


def function_length(sources):
    """Tests and Python; all other functions are clang-tidy's (readability-function-size)."""
    for source in sources:
        functions = []
        if source.is_cpp and source.is_in("tests"):
            functions = _test_cases(source)
        elif source.suffix == ".py":
            functions = _python_functions(source)
        for number, lines in functions:
            if lines > FUNCTION_LINES_MAX:
                yield source.path, number, f"a body of {lines} lines, at most {FUNCTION_LINES_MAX}"


def unfinished(sources):
    return _match_lines(sources, _UNFINISHED, "{}: finish it, or file it", lambda source: True,
                        True)


def outside_path(sources):
    return _match_lines(sources, _OUTSIDE, "{}: a path outside the project", lambda source: True,
                        True)


def header_shape(sources):
    for source in sources:
        if source.suffix != ".h":
            continue
        if not source.lines or not source.lines[0].startswith("//"):
            yield source.path, 1, "a header starts with a comment that says what it is"
        if "#pragma once" not in source.lines:
            yield source.path, 1, "a header has #pragma once"


def vague_name(sources):
    for source in sources:
        for word in re.split(r"[/_.\-]", source.path):
            if word.lower() in _VAGUE:
                yield source.path, 0, f'"{word}" says nothing: put it beside its only user'
        if not source.is_cpp:
            continue
        for number, line in enumerate(source.code, 1):
            for name in _TYPE_NAME.findall(line):
                if any(word.lower() in _VAGUE for word in _WORD.findall(name)):
                    yield source.path, number, f'"{name}" says nothing: name what it does'


def clock_read(sources):
    def applies(source):
        return (source.is_cpp and source.is_in("server", "forecast", "storage") and
                source.path not in CLOCK_FILES)
    message = "{}: only server/core/clock.cc reads time or sleeps; take a Clock, or `now`"
    yield from _match_lines(sources, _TIME, message, applies)
    yield from _match_lines(sources, _SLEEP, message, applies)


def sleeping_test(sources):
    # The programs of tests/demo stand for services that take their time; a benchmark measures it.
    return _match_lines(
        sources, _SLEEP, "{}: a test waits with PollUntil of " + SLEEPING_TEST_FILE,
        lambda source: (source.is_cpp and source.is_in("tests") and
                        not source.is_in("tests/demo") and
                        not source.is_in("tests/bench") and source.path != SLEEPING_TEST_FILE))


def thread_without_tsan(sources):
    # The programs of tests/forecast/eval are no tests.
    return _match_lines(
        sources, _THREAD, "{}: TSan runs the tests in tests/server/workers and storage_test",
        lambda source: (source.is_cpp and not source.is_in("tests/forecast/eval") and
                        (source.is_in("tests/server/core") or source.is_in("tests/forecast"))))


def absl_mutex(sources):
    return _match_lines(sources, _ABSL_MUTEX, "{}: ThreadSanitizer misreads it; use std::mutex",
                        lambda source: source.is_cpp)


def sanitizer_macro(sources):
    return _match_lines(sources, _SANITIZER,
                        "{}: not with each compiler; tests have SHADOW_SANITIZED",
                        lambda source: source.is_cpp)


def mutable_global(sources):
    for pattern in (_MUTABLE_STATIC, _MUTABLE_MARK):
        yield from _match_lines(sources, pattern, "{}: state has an owner; no mutable globals",
                                lambda source: source.is_cpp)


def proto_comment(sources):
    for source in sources:
        if not source.is_proto:
            continue
        blocks = []
        for number, line in enumerate(source.code, 1):
            if _FIELD.match(line) and blocks and blocks[-1] != "enum":
                above = source.lines[number - 2].strip() if number > 1 else ""
                if "//" not in source.lines[number - 1] and not above.startswith("//"):
                    yield source.path, number, "a field says what it is and in which unit"
            for block in _BLOCK.finditer(line):
                if block[0] != "}":
                    blocks.append(block[1])
                elif blocks:
                    blocks.pop()


RULES = {
    "top-level": top_level,
    "folder-size": folder_size,
    "file-length": file_length,
    "line-length": line_length,
    "function-length": function_length,
    "unfinished": unfinished,
    "outside-path": outside_path,
    "header-shape": header_shape,
    "vague-name": vague_name,
    "clock-read": clock_read,
    "sleeping-test": sleeping_test,
    "thread-without-tsan": thread_without_tsan,
    "absl-mutex": absl_mutex,
    "sanitizer-macro": sanitizer_macro,
    "mutable-global": mutable_global,
    "proto-comment": proto_comment,
}
