# SPDX-License-Identifier: BSD-2-Clause
"""headers.py - reads the public headers: what they declare, and what the comment above each says.

A header keeps to a few forms, which the others here build on:
  - the comment at its top: "oasync/x.h - title.", then prose, code (indented by four) and lists;
  - a static inline function ends in a return of the call that the macros over it stand for;
  - "// ---- Title ----" begins a section, a comment that ends in an empty line belongs to it;
  - the comment right above a declaration is that declaration's;
  - the comment of a call is a description, a paragraph "Any thread; never waits." (its context),
    and a paragraph "Returns ..." with a list of errors, " -EINVAL  what it means";
  - "As oa_x(), ..." takes over from oa_x() what it does not say itself.
Anything that it cannot read it refuses, so that no declaration is overlooked.
"""
import os
import re

CONTEXT = re.compile(r"(Any thread|Any task|Plain threads only|Tasks only)\b")
ITEM = re.compile(r" (-E[A-Z0-9]+)(?:  +(.*))?$")
BULLET = re.compile(r"  ?- (.*)")


class Unreadable(Exception):
    pass


class Text:
    """A comment, as blocks: ("prose", text), ("code", lines), ("bullet", text), ("item", name, text)."""

    def __init__(self, lines):
        self.blocks = []
        fresh = True  # whether the next line of prose begins a block of its own
        for line in lines:
            last = self.blocks[-1] if self.blocks else None
            item, bullet = ITEM.match(line), BULLET.match(line)
            inside = last and last[0] in ("item", "bullet") and line.startswith("  ")
            if not line.strip():
                if last and last[0] == "code":
                    last[1].append("")
                fresh = True
            elif item:
                self.blocks.append(["item", item[1], item[2] or ""])
                fresh = True
            elif bullet:
                self.blocks.append(["bullet", bullet[1]])
                fresh = True
            elif inside and not (line.startswith("    ") and last[0] == "code"):
                last[-1] += " " + line.strip()
            elif line.startswith("    "):
                if not last or last[0] != "code":
                    self.blocks.append(["code", []])
                self.blocks[-1][1].append(line[4:])
                fresh = True
            else:
                # A context or "Returns" at the start of a line, after the end of a sentence, is a paragraph of its own.
                part = CONTEXT.match(line) or line.startswith(("Returns ", "Example:"))
                if fresh or (part and last[1].endswith((".", ":"))):
                    self.blocks.append(["prose", line])
                else:
                    last[1] += " " + line
                fresh = False
        for block in self.blocks:
            while block[0] == "code" and not block[1][-1]:
                block[1].pop()

    def prose(self):
        return [b[1] for b in self.blocks if b[0] == "prose"]

    def code(self):
        return [b[1] for b in self.blocks if b[0] == "code"]

    def all_text(self):
        return " ".join(" ".join(b[-1]) if b[0] == "code" else b[-1] for b in self.blocks)


class Item:
    """One declaration. kind: "call", "macro" (with arguments), "constant", "struct", "enum", "type"."""

    def __init__(self, kind, name, header, line, comment, code, section):
        self.kind, self.name, self.header, self.line, self.section = kind, name, header, line, section
        self.code = code  # without comments, on one line
        self.text = Text(comment)
        self.commented = bool(comment)
        self.fields = []  # of a struct or enum: (declaration, comment); ("", comment): between them
        self.prototype = None  # of a macro that stands for a call: (result, arguments), from its comment
        self.over = None  # the call that such a macro ends in
        self.result = self.params = None
        if kind == "call":
            match = re.fullmatch(r"(.*?[ *])(oa_\w+)\((.*)\);", code)
            self.result, self.params = match[1].strip(), split_params(match[3])
        elif kind == "macro":
            self.read_macro()

    def is_helper(self):
        """Whether it is a macro with arguments that other macros are made of, with no comment."""
        return self.kind == "constant" and not self.commented and "(" in self.code.split()[1]

    def read_macro(self):
        over = re.search(r"\b(oa_\w+)\(", self.code.split(")", 1)[1])
        first = self.text.blocks[0][1] if self.text.blocks else ""
        match = re.match(r"(\w[\w *]*[ *])" + self.name + r"\(([^)]*(?:\([^)]*\)[^)]*)*)\)([.:]) ?", first)
        if over and match:
            self.over, self.prototype = over[1], (match[1].strip(), match[2])
            rest = first[match.end():]
            self.text.blocks[0][1] = rest
            if match[3] == ":":  # an example, or several
                self.text.blocks[0] = ["code", re.sub(r";? ?\.$", ";", rest).replace("; ", ";\n").split("\n")]
            elif not rest:
                self.text.blocks.pop(0)

    def parts(self):
        """Of a call's comment: description, context, what it returns, {error: meaning}, remarks behind the errors."""
        description, context, returns, errors, after = [], "", "", {}, []
        for block in self.text.blocks:
            text = block[-1]
            if block[0] == "item":
                errors[block[1]] = re.sub(r"[;,.]$", "", text)
            elif block[0] == "prose" and CONTEXT.match(text):
                context = text
            elif block[0] == "prose" and text.startswith("Returns "):
                returns = text[len("Returns "):]
            else:
                (after if errors else description).append(block)
        if errors and not returns and description and description[-1][0] == "prose":
            description[-1] = ["prose", description[-1][1].removesuffix(" Also")]
        return description, context, returns, errors, after

    def base_name(self):
        """The call whose contract this one shares ("As oa_x(), ..."), or None."""
        match = re.match(r"As (oa_\w+)\(\)", self.text.all_text())
        return match[1] if match else None


def contract(call, calls):
    """context, what it returns, {error: meaning} of a call, with what it takes over from another."""
    _, context, returns, errors, _ = call.parts()
    base = calls.get(call.base_name())
    if base and base is not call:
        base_context, base_returns, base_errors = contract(base, calls)
        context = context or base_context
        if not returns or returns.startswith("as "):
            returns, errors = base_returns, {**base_errors, **errors}
    return context, returns, errors


def split_params(text):
    depth, params, start = 0, [], 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            params.append(text[start:i].strip())
            start = i + 1
    params.append(text[start:].strip())
    return [] if params == ["void"] else params


class Header:
    def __init__(self, root, name):
        self.name = name  # oasync/task.h
        self.items, self.sections = [], []  # sections: (title, Text)
        with open(os.path.join(root, "include", name), encoding="utf-8") as file:
            self.lines = file.read().split("\n")
        self.read()

    def fail(self, line, why):
        raise Unreadable(f"include/{self.name}:{line + 1}: {why}")

    def read(self):
        comment, first, top, section, i = [], 0, True, "", 0
        while i < len(self.lines):
            line = self.lines[i]
            if line.startswith("//"):
                if not line.startswith("// SPDX"):
                    comment.append(line[2:].removeprefix(" ") if line[2:3] == " " else line[2:])
                    first = first if len(comment) > 1 else i
                i += 1
                continue
            if top and comment:
                self.read_top(comment, first)
                comment, top = [], False
            if comment and re.match(r"---- (.*?) -+$", comment[0]):
                section = re.match(r"---- (.*?) -+$", comment[0])[1]
                self.sections.append((section, Text(comment[1:])))
                comment = []
            if not line.strip():
                if comment:
                    if not self.sections:
                        self.fail(first, "a comment that belongs to nothing")
                    self.sections[-1][1].blocks += Text(comment).blocks
                comment = []
                i += 1
            else:
                i = self.read_code(i, comment, section)
                comment = []

    def read_top(self, comment, first):
        match = re.match(r"(\S+) - (.*)", comment[0])
        if not match or match[1] != self.name:
            self.fail(first, f'the top comment has to begin with "{self.name} - "')
        self.top = Text(comment[1:])
        self.title = match[2].rstrip(".")
        for n, line in enumerate(comment[1:], 1):  # the title may go on
            if not line.strip():
                break
            self.title, self.top = (self.title + " " + line).rstrip("."), Text(comment[n + 1:])

    def read_code(self, i, comment, section):
        """The declaration that begins at line i; returns the line behind it."""
        line, start = self.lines[i], i
        if line.startswith("#"):
            while self.lines[i].endswith("\\"):
                i += 1
            text = " ".join(re.sub(r"\s+", " ", l.rstrip("\\")).strip() for l in self.lines[start:i + 1])
            match = re.match(r"# ?define (\w+)(\([^)]*\))?(.*)", text)
            if match and not match[1].startswith("OASYNC_"):
                upper = match[1].isupper() or not match[2]
                self.add("constant" if upper else "macro", match[1], start, comment, text, section)
            return i + 1
        if line.startswith(('extern "C"', "}")):
            return i + 1
        if line.startswith("static inline"):  # between a macro and a call: the macro is over the latter
            name = re.search(r"(\w+)\(", line)[1]
            while self.lines[i] != "}":
                i += 1
            over = re.search(r"return (\w+)\(", self.lines[i - 1])[1]
            for item in self.items:
                if item.over == name:
                    item.over = over
            return i + 1
        depth, code = 0, []
        while True:
            bare = re.sub(r"//.*", "", self.lines[i])
            depth += bare.count("{") - bare.count("}")
            code.append(bare.strip())
            if bare.rstrip().endswith(";") and depth == 0:
                break
            i += 1
            if i == len(self.lines) or self.lines[i].startswith("#"):
                self.fail(start, "a declaration without an end")
        self.declare(start, i, comment, re.sub(r"\s+", " ", " ".join(code)).strip(), section)
        return i + 1

    def declare(self, start, end, comment, code, section):
        forward = re.fullmatch(r"(?:typedef )?struct (\w+)(?: (\w+))?;", code)
        record = re.match(r"(?:typedef )?(struct|enum)(?: (\w+))? \{", code)
        function_type = re.fullmatch(r"typedef [\w *]+?\(?\*?(oa_\w+)\)?\(.*\);", code)
        plain_type = re.fullmatch(r"typedef [\w *]+?(oa_\w+);", code)
        if forward:
            return
        if record:
            name = re.search(r"\} ?(\w*);$", code)[1] or record[2] or ""
            if not name and record[1] == "struct":
                self.fail(start, "a struct without a name")
            item = self.add(record[1], name, start, comment, code, section)
            item.fields = self.read_fields(start, end)
        elif function_type or plain_type:
            self.add("type", (function_type or plain_type)[1], start, comment, code, section)
        elif re.fullmatch(r".*?[ *]oa_\w+\(.*\);", code):
            self.add("call", re.match(r".*?[ *](oa_\w+)\(", code)[1], start, comment, code, section)
        else:
            self.fail(start, f"cannot read: {code}")

    def read_fields(self, start, end):
        fields = []
        for line in self.lines[start + 1:end]:
            code, _, note = line.partition("//")
            code, note = code.strip(), note.strip()
            if code in ("union {", "struct {", "};"):
                continue
            if code:
                fields.append([code.rstrip(";,") if not code.endswith("};") else code, note])
            elif fields and line.partition("//")[2].startswith("  "):
                fields[-1][1] += " " + note  # "//   " goes on with the comment of the line above
            elif fields and not fields[-1][0]:
                fields[-1][1] += " " + note
            else:
                fields.append(["", note])
        return fields

    def add(self, kind, name, line, comment, code, section):
        self.items.append(Item(kind, name, self.name, line + 1, comment, code, section))
        return self.items[-1]


def readme_programs(root):
    """The ```c blocks of README.md, each with the heading above it, what it prints ("": not told), and its code."""
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        text = file.read()
    programs, heading = [], ""
    for match in re.finditer(r"^#+ ([^\n]*)$|^```(\w*)\n(.*?)^```$", text, re.M | re.S):
        if match[1] is not None:
            heading = match[1]
        elif match[2] == "c":
            programs.append([heading, "", match[3]])
        elif match[2] == "text" and programs and not programs[-1][1]:
            programs[-1][1] = match[3]
    return programs


def read_all(root):
    """The headers, oasync.h first, then by name."""
    folder = os.path.join(root, "include", "oasync")
    names = ["oasync.h"] + ["oasync/" + n for n in sorted(os.listdir(folder)) if n.endswith(".h")]
    return [Header(root, n) for n in names]
