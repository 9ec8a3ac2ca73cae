# SPDX-License-Identifier: BSD-2-Clause
"""man.py ROOT OUTDIR - writes the man pages, OUTDIR/man3/PAGE.3 for each page of pages.py, and an alias for each call.

Everything comes from the headers, but the longer example: that is the README's program that uses most of a page's calls.
"""
import os
import re
import sys
import textwrap
import time

import headers
import pages

BASICS = "oasync"  # the page of what all calls share
BASICS_HEADER = "oasync/task.h"  # whose top comment stands there
LONGEST = 70  # lines of a program that is taken from the README

# ---- roff ----


def escape(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def bold(text):
    return f"\\fB{escape(text)}\\fR"


def italic(text):
    return f"\\fI{escape(text)}\\fR"


def inline(text):
    """A sentence: names of the library and errors bold, what stands in backquotes set off."""
    text = re.sub(r"\(?\bsee the top of (task\.h|this file)\b\)?", lambda m: m[0].replace(
        "see the top of " + m[1], "see oasync(3)"), text)
    out = []
    for part in re.split(r"(`[^`]+`|\boa_\w+|\bOA_\w+|-E[A-Z0-9]{3,}|\boasync\(3\))", text):
        if part.startswith("`"):
            name = part[1:-1]
            out.append(italic(name) if re.fullmatch(r"\w+", name) and not name.startswith("oa_") else bold(name))
        elif re.match(r"oa_|OA_|-E", part):
            out.append(bold(part))
        elif part == "oasync(3)":
            out.append(bold("oasync") + "(3)")
        else:
            out.append(part.replace("\\", "\\e"))
    return "".join(out)


def filled(text):
    lines = textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False)
    return [("\\&" if line[0] in ".'" else "") + line for line in lines]


def code_lines(lines):
    out = [".in +4n", ".EX"]
    out += [("\\&" if line[:1] in (".", "'") else "") + escape(line.rstrip()) for line in lines]
    return out + [".EE", ".in"]


def tagged(tag, lines):
    return [".TP 7", ("\\&" if tag[0] in ".'" else "") + tag] + lines


def prose_blocks(blocks, between=".PP"):
    """Blocks of a comment without their code; the first needs no break before it."""
    out = []
    for block in blocks:
        if block[0] == "prose":
            out += ([between] if out else []) + filled(inline(block[1]))
        elif block[0] == "bullet":
            out += [".IP \\(bu 3"] + filled(inline(block[1]))
        elif block[0] == "item":
            out += tagged(bold(block[1]), filled(inline(block[2])))
    return out


# ---- the sections ----


def prototype(item):
    """"int oa_go(fn, ...)" with its arguments in italics, in lines."""
    if item.kind == "call":
        result, params = item.result, item.params or ["void"]
    elif item.prototype:
        result, params = item.prototype[0], headers.split_params(item.prototype[1])
    else:
        result, params = "", re.match(r"# ?define \w+\((.*?)\)", item.code)[1].split(", ")
        params = ["lvalue" if p == "..." else p for p in params]
    head = (result + ("" if not result or result.endswith("*") else " ")) + item.name + "("
    words = []
    for i, param in enumerate(params):
        end = ");" if i == len(params) - 1 and result else ")" if i == len(params) - 1 else ","
        match = re.fullmatch(r"(.*?\(\*)(\w+)(\).*)", param) or re.fullmatch(r"(.*?)(\w+)(\[\])?", param)
        if param == "void" or not match or param.startswith(("...", "[")):
            words.append((bold(param) if param == "void" else italic(param), end, len(param)))
        else:
            words.append(((bold(match[1]) if match[1] else "") + italic(match[2]) + bold(match[3] or ""), end, len(param)))
    lines, line, width = [], bold(head), len(head)
    for text, end, length in words:
        if width + length + 2 > 76 and width > len(head):
            lines.append(line)
            line, width = "    " + " " * 4, 8
        space = " " if width not in (len(head), 8) else ""
        line, width = line + space + text + bold(end), width + len(space) + length + len(end)
    return lines + [line]


def constant(item, page):
    """An initialiser by example, another constant as it is defined."""
    _, name, args, value = re.fullmatch(r"# ?define ((\w+)(\([^)]*\))? ?(.*))", item.code).groups()
    if not name.endswith("_INIT"):
        return bold(f"#define {name}{args or ''} {value}")
    noun = name[3:-5].lower()
    if any(i.name == f"oa_{noun}_config_t" for i in page.items):
        noun += "_config"
    return bold(f"oa_{noun}_t {noun.split('_')[-1]} = {name}{args or ''};")


def synopsis(page):
    out = [".nf", bold(f"#include <{page.items[0].header}>")]
    last = ""
    for item in page.items:
        kind = "call" if item.kind in ("call", "macro") else item.kind
        if kind == "enum" and not item.name:
            lines = [bold(l) for l in textwrap.wrap(item.code, 70, subsequent_indent="       ")]
        elif kind == "call":
            lines = prototype(item)
        elif kind == "constant" and not item.is_helper():
            lines = [constant(item, page)]
        elif kind == "type":
            lines = [bold(item.code)]
        else:
            continue
        out += ([".PP"] if kind != last or item.kind == "macro" else []) + lines
        last = kind
    return out + [".fi"]


def names_of(calls):
    return ", ".join(bold(c) + "()" for c in calls)


def record(item):
    """The fields of an option struct, or the values of an enum."""
    fields = [f for f in item.fields if "oa_private" not in f[0] and "oa_reserved" not in f[0]]
    if not item.name or not fields:
        return []
    out = [f".SS {escape(item.name)}"] + prose_blocks(item.text.blocks)
    for code, note in fields:
        if code:
            out += tagged(bold(code.split(" = ")[0]), filled(inline(sentence(note))))
        else:
            out += [".PP"] + filled(inline(note))
    return out


def description(page, header):
    out = []
    if header.name != BASICS_HEADER:
        out += prose_blocks(header.top.blocks)
    for title, text in header.sections:
        if any(i.section == title for i in page.items):
            more = prose_blocks(text.blocks)
            out += ([".PP"] if out and more else []) + more
    for item in page.calls():
        lines = prose_blocks(item.parts()[0] if item.kind == "call" else item.text.blocks, ".IP")
        if item.over and not lines:
            lines = filled(inline(f"The macro over {item.over}() with its options as arguments; C only."))
        out += tagged(bold(item.name) + "()", lines)
    for item in page.items:
        if item.kind in ("constant", "type") and item.text.blocks and prose_blocks(item.text.blocks):
            out += tagged(bold(item.name), prose_blocks(item.text.blocks, ".IP"))
    for item in page.items:
        if item.kind in ("struct", "enum"):
            out += record(item)
    return out


def grouped(pairs):
    """[(name, text)] as [([names], text)], names with one text together."""
    groups = {}
    for name, text in pairs:
        groups.setdefault(text, []).append(name)
    return [(names, text) for text, names in groups.items()]


def tagged_groups(pairs):
    return [line for names, text in grouped(pairs) for line in tagged(names_of(names), filled(inline(text)))]


def returns_text(call, calls):
    _, returns, errors = headers.contract(call, calls)
    if call.result == "void":
        return "Nothing."
    if not returns:  # the description is one of the value
        return re.match(r".*?[.](?= |$)", call.parts()[0][0][1])[0]
    if errors:
        returns = re.sub(r", or(, .*)?,?$", lambda m: ", or" + (m[1] or "").rstrip(",") + ("," if m[1] else "")
                         + " an error", returns.rstrip(","))
    after = [block[1] for block in call.parts()[4] if block[0] == "prose"]
    return " ".join([sentence(returns)] + after)


def contracts(page, calls):
    """RETURN VALUE, ERRORS and CONTEXT."""
    functions = [i for i in page.items if i.kind == "call"]
    out = [".SH RETURN VALUE"]
    out += tagged_groups([(c.name, returns_text(c, calls)) for c in functions])
    errors = {}
    for call in functions:
        for name, meaning in headers.contract(call, calls)[2].items():
            errors.setdefault(name, []).append((call.name, sentence(meaning, functions)))
    if errors:
        out += [".SH ERRORS", "An error is returned as a negative value;", ".I errno", "is not set."]
    for name, pairs in errors.items():
        lines = []
        for calls_with, text in grouped(pairs):
            who = names_of(calls_with) + ": " if len(functions) > 1 else ""
            lines += ([".IP"] if lines else []) + filled(who + inline(text))
        out += tagged(bold(name), lines)
    contexts = [(c.name, headers.contract(c, calls)[0]) for c in functions]
    out += [".SH CONTEXT"]
    if any(text.startswith("Any thread") for _, text in contexts):
        out += ["\\(lqAny thread\\(rq means any task and any plain OS thread."]
    return out + tagged_groups(contexts)


def sentence(text, functions=()):
    """With a capital and a full stop, but where it begins with the name of an argument or another piece of C."""
    params = {re.search(r"(\w*)(\[\])?$", p)[1] for f in functions for p in f.params}
    word = re.match(r"[a-z]+(?= |$|,|;)", text)
    capital = word and word[0] not in params
    return (text[0].upper() + text[1:] if capital else text) + ("" if text.endswith(".") else ".")


def examples(page, header, programs):
    names = [i.name for i in page.calls()]
    uses = re.compile(r"\b(" + "|".join(names) + r")\(")
    texts = [header.top] + [t for _, t in header.sections] + [i.text for i in page.items]
    out = [".PP"]
    for text in texts:
        snippets = [b for b in text.code() if uses.search("\n".join(b))]
        for lines in snippets:
            out += code_lines(lines) + [".PP"]
    own = [p for p in programs if uses.search(p[2]) and p[2].count("\n") <= LONGEST]
    if own:
        heading, printed, code = max(own, key=lambda p: (len(set(uses.findall(p[2]))), -len(p[2])))
        out += filled(f"A program, from \\(lq{heading}\\(rq in the README:") + [".PP"] + code_lines(code.split("\n")[:-1])
        if printed:
            out += [".PP", "It prints:", ".PP"] + code_lines(printed.split("\n")[:-1])
    while out and out[-1] == ".PP":
        out.pop()
    return [".SH EXAMPLES"] + out[1:] if out else []


def see_also(page, all_pages, everything):
    where = {i.name: i.page for i in everything}
    text = " ".join(i.text.all_text() + " " + " ".join(f[0] + " " + f[1] for f in i.fields) for i in page.items)
    linked = {where[n] for n in re.findall(r"\boa_\w+", text) if n in where}
    same = {p for p in all_pages if all_pages[p].items[0].header == page.items[0].header}
    linked |= same if len(same) <= 8 else set()
    linked |= {BASICS} | ({"oa_time"} if "deadline" in text else set())
    if page.name == BASICS:
        linked = set(all_pages)
    names = sorted(linked - {page.name})
    return [".SH SEE ALSO"] + [f".BR {n} (3){',' if n != names[-1] else ''}" for n in names]


def basics(all_headers, all_pages):
    """The page of what all calls share has the tops of oasync.h and task.h, and a list of the others."""
    tasks = next(h for h in all_headers if h.name == BASICS_HEADER)
    out = [".SS Tasks and runtimes"] + prose_blocks(tasks.top.blocks) + [".SS Pages"]
    for page in all_pages.values():
        if page.name != BASICS:
            out += tagged(bold(page.name) + "(3)", filled(inline(page.title)))
    return out


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main(root, outdir):
    all_headers = headers.read_all(root)
    all_pages = pages.arrange(all_headers)
    everything = [i for h in all_headers for i in h.items]
    calls = {i.name: i for i in everything if i.kind == "call"}
    programs = headers.readme_programs(root)
    version = re.search(r'OA_VERSION "(.*)"', "\n".join(all_headers[0].lines))[1]
    newest = max(os.path.getmtime(os.path.join(root, "include", h.name)) for h in all_headers)
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", newest))))
    folder = os.path.join(outdir, "man3")
    os.makedirs(folder, exist_ok=True)
    for page in all_pages.values():
        header = next(h for h in all_headers if h.name == page.items[0].header)
        names = [i.name for i in page.calls()]
        listed = ", ".join(dict.fromkeys([page.name] + names))
        lines = ['.\\" Made from include/' + header.name + " by tools/docs/man.py.",
                 f'.TH {page.name} 3 {date} "oasync {version}" "oasync"',
                 ".nh", ".ad l", ".SH NAME", f"{escape(listed)} \\- {inline(page.title)}"]
        lines += [".SH LIBRARY", "oasync (\\fIliboasync\\fR, \\fI\\-loasync\\fR)"]
        lines += [".SH SYNOPSIS"] + synopsis(page)
        lines += [".SH DESCRIPTION"] + description(page, header)
        if page.name == BASICS:
            lines += basics(all_headers, all_pages)
        lines += contracts(page, calls) + examples(page, header, programs) + see_also(page, all_pages, everything)
        write(os.path.join(folder, page.name + ".3"), lines)
        aliases = names + [i.name for i in page.items if i.kind in ("struct", "enum") and i.name.endswith("_t")]
        for name in aliases:
            if name != page.name:
                write(os.path.join(folder, name + ".3"), [f".so man3/{page.name}.3"])


main(*sys.argv[1:])
