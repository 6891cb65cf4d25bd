"""The blocks of code of a Markdown file."""

import re

_HEADING = re.compile(r"^## (.*)$")


def blocks_of(text, heading):
    """The blocks below `## heading`, each a list of lines."""
    section, block, found = "", None, []
    for line in text.splitlines():
        if line.startswith("```"):
            if block is not None and section == heading:
                found.append(block)
            block = [] if block is None else None
        elif block is not None:
            block.append(line)
        elif match := _HEADING.match(line):
            section = match[1]
    return found
