"""One source file as the rules see it."""

import pathlib
import re

# What is not code in C++ and proto: comments, strings, characters (not the ' of 1'000).
_NO_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/'
    r'|R"(?P<mark>[^()\s]*)\(.*?\)(?P=mark)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'", re.DOTALL)

_CODE_SUFFIXES = {".h", ".cc", ".proto", ".py", ".sh", ".cmake"}
_CODE_NAMES = {"CMakeLists.txt", "quickstart", "run"}


class Source:
    """`path` is relative to the root of the tree. `lines` are the lines as they are; `code` are the
    same lines with comments, strings and characters blanked out (C++ and proto only)."""

    def __init__(self, path, text):
        self.path = path
        self.folder = str(pathlib.PurePosixPath(path).parent)
        self.name = pathlib.PurePosixPath(path).name
        self.suffix = pathlib.PurePosixPath(path).suffix
        self.lines = text.splitlines()
        self.is_cpp = self.suffix in (".h", ".cc")
        self.is_proto = self.suffix == ".proto"
        self.is_code = self.suffix in _CODE_SUFFIXES or self.name in _CODE_NAMES
        if self.is_cpp or self.is_proto:
            self.code = _NO_CODE.sub(_blank, text).splitlines()
        else:
            self.code = self.lines

    @staticmethod
    def read(root, path):
        """None for a file that is not text."""
        content = (root / path).read_bytes()
        if b"\0" in content:
            return None
        return Source(path, content.decode(errors="replace"))

    def is_in(self, *folders):
        return any(self.path.startswith(folder + "/") for folder in folders)


def _blank(match):
    return re.sub(r"[^\n]", " ", match[0])
