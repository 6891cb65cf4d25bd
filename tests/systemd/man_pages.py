#!/usr/bin/env python3
"""The manual pages and the completion name what the programs take: nothing less, nothing else. The
other documents name no command, flag or file that does not exist.

man_pages.py SOURCE_DIR SHADOWD SHADOWCTL SHADOWD_UNITS
"""

import pathlib
import re
import subprocess
import sys

_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_FLAGS_OF_HELP = re.compile(r"^  (?:(-\w),)?(--[a-z-]+)", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_CALL = re.compile(r"\bshadowctl ((?:[^`\n|;&#]|\\\n)*)")
_LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
_ID = "0123456789abcdef" * 2
_COMPLETE = """
eval "$1"; shift
COMP_WORDS=("$@" "") COMP_CWORD=$#
_shadowctl
printf '%s\\n' "${COMPREPLY[@]}"
"""


def help_of(program, command=()):
    return subprocess.run([program, *command, "--help"], check=True, capture_output=True,
                          text=True).stdout


def flags_of(text):
    """Long and short ones. --help is of every command, and CLI11 says -h for it too."""
    return {flag for pair in _FLAGS_OF_HELP.findall(text) for flag in pair if flag} - {"-h"}


def subcommands_of(text):
    section = text.partition("\nSubcommands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  ([a-z-]+)", section, re.MULTILINE)


def commands_of(program, command=()):
    """(words, flags, subcommands) of the program and of each command below."""
    text = help_of(program, command)
    names = subcommands_of(text)
    yield command, flags_of(text), set(names)
    for name in names:
        yield from commands_of(program, (*command, name))


def plain(page):
    """A page as text, each paragraph of a macro on its line."""
    text = re.sub(r"\\f.", "", page.replace(r"\-", "-"))
    return re.sub(r'^\.[A-Z]+ |"', "", text, flags=re.MULTILINE)


def differences(what, wanted, found):
    return ([f"{what}: {name} is missing" for name in sorted(wanted - found)] +
            [f"{what}: {name} does not exist" for name in sorted(found - wanted)])


def check_flags(page, text, wanted):
    return differences(page, {flag for flag in wanted if flag.startswith("--")},
                       set(_FLAG.findall(plain(text))))


def check_commands(page, text, commands):
    """Commands that can be run stand at the begin of a line, followed by what they take."""
    lines = plain(text).splitlines()
    return [f"{page}: {' '.join(words)} is missing" for words, _, names in commands
            if not names and not any(re.match(" ".join(words) + r"\b", line) for line in lines)]


def fields_of(proto, message="DaemonConfig"):
    body = proto.partition(f"message {message} {{")[2].partition("\n}")[0]
    return set(re.findall(r"^  (?:optional |repeated )?[\w.]+ (\w+) = \d+;", body, re.MULTILINE))


def check_fields(page, text, wanted):
    return differences(page, wanted, set(re.findall(r"^\.BR (\w+) \" \(", text, re.MULTILINE)))


def check_message_ids(page, text, wanted):
    return differences(page, wanted, set(re.findall(r"^([0-9a-f]{32}  .+)$", text, re.MULTILINE)))


def check_default_configuration(name, text, wanted):
    return differences(name, wanted,
                       set(re.findall(r"^(?:# )?([a-z]\w*)(?:: | \{)", text, re.MULTILINE)))


def script_of(program, shell):
    return subprocess.run([program, "completion", shell], check=True, capture_output=True,
                          text=True).stdout


def check_completion(program, commands):
    """What bash completes after each command."""
    commands = list(commands)
    everywhere = commands[0][1]
    script = script_of(program, "bash")
    for words, flags, names in commands:
        out = subprocess.run(["bash", "-c", _COMPLETE, "bash", script, "shadowctl", *words],
                             check=True, capture_output=True, text=True).stdout
        yield from differences(f"completion of shadowctl {' '.join(words)}",
                               everywhere | flags | names, set(out.split()))


def check_script(shell, script, commands):
    """The branch for each command of a script that is not run here has its flags and commands."""
    for words, flags, names in commands:
        branch = re.search(rf"""["']{re.escape(' '.join(words))}["']\)?\s(.*)""", script)
        found = set(re.findall(r"[\w-]+", branch[1])) if branch else set()
        wanted = names | (flags - {"--help"} if words else set())
        yield from differences(f"{shell} completion of shadowctl {' '.join(words)}", wanted,
                               found & wanted)


def check_call(call, commands):
    """What is wrong with the words after `shadowctl`, as a document has them."""
    known = {words: (flags, names) for words, flags, names in commands}
    words = ()
    tokens = call.replace("\\\n", " ").split()
    for token in tokens:
        if token in known[words][1]:
            words = (*words, token)
        elif words and known[words][1] and re.fullmatch(r"[a-z-]+", token):
            yield f"there is no {token} of shadowctl {' '.join(words)}"
    if tokens and not words and not tokens[0].startswith("-"):
        yield f"there is no shadowctl {tokens[0]}"
    taken = known[words][0] | known[()][0]
    yield from (f"shadowctl {' '.join(words)} takes no {token}" for token in tokens
                if re.fullmatch(r"--[a-z-]+|-[a-zA-Z]", token) and token not in taken)


def check_document(page, text, commands, directory=None):
    found = [f"{page}: {fault}" for code in _CODE.findall(text) for call in _CALL.findall(code)
             for fault in check_call(call, commands)]
    links = _LINK.findall(text) if directory else []
    return found + [f"{page}: {link} does not exist" for link in links
                    if not (directory / link).exists()]


def documents(source):
    """The project's own; without git, whatever lies outside of the build."""
    paths = subprocess.run(["git", "-c", "safe.directory=*", "-C", source, "ls-files", "*.md"],
                           check=False, capture_output=True, text=True).stdout.split()
    every = (path.relative_to(source) for path in source.rglob("*.md")) if not paths else ()
    return paths or [str(path) for path in every if path.parts[0] != "build"]


def self_test():
    """Each check finds what it is there for."""
    for check, good, bad, wanted in (
            (check_flags, r".BI \-\-state\-dir", r".BI \-\-state", {"--state-dir"}),
            (check_flags, "", r".BI \-\-gone", set()),
            (check_commands, '.TP\n.BI "pool get" " NAME"', ".B pool list",
             [(("pool", "get"), set(), set())]),
            (check_fields, '.BR listen " (text)"', '.BR listens " (text)"', {"listen"}),
            (check_message_ids, f"{_ID}  serves", f"{_ID}  ends", {f"{_ID}  serves"}),
            (check_default_configuration, '# listen: "a"', "# Where to listen", {"listen"})):
        assert not check("page", good, wanted), check.__name__
        assert check("page", bad, wanted), check.__name__
    commands = [((), {"--wait"}, {"pool"}), (("pool",), set(), {"get"}),
                (("pool", "get"), {"-f"}, set())]
    assert not check_document("page", "`shadowctl pool get web -f x --wait | y`", commands)
    for bad in ("pools", "pool put web", "pool get --gone", "pool get -x"):
        assert check_document("page", f"```\nshadowctl {bad}\n```", commands), bad
    assert check_document("page", "[page](gone.md#a)", commands, pathlib.Path("/"))
    for shell, good in (("zsh", '"dna") echo "get" ;;'), ("fish", "case 'dna'\n  string 'get'")):
        wanted = [(("dna",), {"--help"}, {"get"})]
        assert not list(check_script(shell, good, wanted)), shell
        assert list(check_script(shell, good.replace("get", "got"), wanted)), shell


def main():
    self_test()
    source = pathlib.Path(sys.argv[1])
    shadowd, shadowctl, shadowd_units = sys.argv[2:]

    def text(path):
        return (source / path).read_text()

    commands = list(commands_of(shadowctl))
    flags = set().union(*(flags for _, flags, _ in commands))
    fields = fields_of(text("proto/shadow/v1/config.proto"))
    assert len(fields) > 10 and len(commands) > 30, "the proto or --help was not understood"
    # The page of a program may name the flags of the other.
    pages = {name: text(name) for name in ("systemd/man/shadowd.8", "client/man/shadowctl.1")}
    found = check_flags("shadowd(8)", pages["systemd/man/shadowd.8"], flags_of(help_of(shadowd)))
    found += check_flags("shadowctl(1)", pages["client/man/shadowctl.1"].replace(
        r"shadowd \-\-restore", ""), flags)
    found += check_flags("shadowd-units(8)", text("systemd/man/shadowd-units.8").replace(
        r"\-\-now", ""), flags_of(help_of(shadowd_units)))
    found += check_commands("shadowctl(1)", pages["client/man/shadowctl.1"], commands)
    ids = {"  ".join(pair) for pair in re.findall(r'"([0-9a-f]{32})",\s+"([^"]+)"',
                                                  text("server/log/message_kinds.cc"))}
    assert len(ids) > 20, "message_kinds.cc was not understood"
    found += check_message_ids("shadowd(8)", pages["systemd/man/shadowd.8"], ids)
    found += check_fields("shadowd.textproto(5)", text("systemd/man/shadowd.textproto.5"), fields)
    found += check_default_configuration("systemd/shadowd.textproto",
                                         text("systemd/shadowd.textproto"), fields)
    found += check_default_configuration(
        "systemd/units.textproto", text("systemd/units.textproto"),
        fields_of(text("proto/shadow/v1/units.proto"), "UnitsPolicy"))
    for page in documents(source):
        found += check_document(page, text(page), commands, (source / page).parent)
    found += check_completion(shadowctl, commands)
    for shell in ("zsh", "fish"):
        found += check_script(shell, script_of(shadowctl, shell), commands)
    print("\n".join(found))
    sys.exit(bool(found))


main()
