# SPDX-License-Identifier: BSD-2-Clause
"""filter.py FILE - Doxygen's input filter: a public header with its plain comments as Doxygen writes them.

The pages of pages.py become Doxygen's groups.
"""
import os
import re
import sys

import headers
import pages


def text(words):
    """Prose in Markdown, with what would be markup set off; `code` stays. This file is not the page it is read on."""
    words = words.replace("the top of this file", "the top of task.h")
    parts = re.split(r"(`[^`]*`)", words)
    return "".join(p if p.startswith("`") else re.sub(r"([\\@<>#%*])", r"\\\1", p) for p in parts)


def blocks(comment_blocks):
    out = []
    for block in comment_blocks:
        if block[0] == "prose":
            out += ["", text(block[1])]
        elif block[0] == "bullet":
            out += ["- " + text(block[1])]
        elif block[0] == "item":
            out += ["", f"- **{block[1]}** " + text(block[2])]
        else:
            out += ["\\code{.c}"] + block[1] + ["\\endcode"]
    return out


def doc(lines):
    lines = lines[1:] if lines and not lines[0] else lines
    return ["/**"] + [(" * " + line).rstrip() for line in lines] + [" */"]


def of_item(item, calls):
    if item.kind == "call":
        description, _, _, _, after = item.parts()
        context, returns, errors = headers.contract(item, calls)
        out = blocks(description) + ["", "\\par Context", text(context)]
        if returns:
            out += ["", "\\return " + text(re.sub(r", or(, .*)?,?$", r", or\1 an error", returns.rstrip(",")))]
        out += [f"\\retval {name} {text(meaning)}." for name, meaning in errors.items()]
        out += ["", "\\remark"] + blocks(after)[1:] if after else []
    else:
        out = blocks(item.text.blocks)
        if item.over:
            result, params = item.prototype
            head = f"{result} {item.name}({params})".replace("* ", "*")
            out = ["", f"The macro over {item.over}() with its options as arguments; C only.",
                   "\\code{.c}", head, "\\endcode"] + out
    return doc(out + ["", f"\\ingroup {item.page}"])


def of_group(page, all_headers):
    """The group's description: its section's text, and that of a header that it shares with few others."""
    header = next(h for h in all_headers if h.name == page.items[0].header)
    out = [f"\\defgroup {page.name} {page.name}", f"\\brief {text(page.title)}", ""]
    out += blocks(header.top.blocks) if header.sections == [] else []
    for title, section in header.sections:
        out += blocks(section.blocks) if any(i.section == title for i in page.items) else []
    return doc(out)


def fields(lines):
    """The comment behind a field, and the lines that go on with it."""
    out, goes_on = [], False
    for line in lines:
        code, mark, note = line.partition("//")
        if note.startswith(" see "):  # where a name is declared in advance
            line = code
        elif mark and (code.strip() or (goes_on and note.startswith("  "))):
            line, goes_on = code + "///< " + text(note.strip()), True
        else:
            goes_on = False
        out.append(line)
    return out


def markdown(path):
    """With an anchor for each heading, as links in it expect ("#building-and-installing")."""
    out, in_code = [], False
    with open(path, encoding="utf-8") as file:
        for line in file:
            in_code ^= line.startswith("```")
            heading = re.match(r"##+ (.*)", line)
            if heading and not in_code:
                anchor = re.sub(r"[^\w -]", "", heading[1].lower()).replace(" ", "-")
                line = f"{heading[0]} {{#{anchor}}}\n"
            out.append(line)
    return "".join(out)


def filtered(path):
    if path.endswith(".md"):
        return markdown(path)
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    all_headers = headers.read_all(root)
    all_pages = pages.arrange(all_headers)
    header = next(h for h in all_headers if os.path.abspath(path).endswith("/include/" + h.name))
    calls = {i.name: i for h in all_headers for i in h.items if i.kind == "call"}
    starts = {item.line - 1: item for item in header.items}
    out = doc([f"\\file {header.name}", f"\\brief {text(header.title)}."] + blocks(header.top.blocks))
    for page in all_pages.values():
        out += of_group(page, all_headers) if page.items[0].header == header.name else []
    code = []
    for i, line in enumerate(header.lines):
        item = starts.get(i)
        if item and not item.is_helper():
            code += of_item(item, calls)
        code += [line] if not line.startswith("//") else []
    return "\n".join(out + fields(code)) + "\n"


sys.stdout.write(filtered(sys.argv[1]))
