# SPDX-License-Identifier: BSD-2-Clause
"""check.py [ROOT | --self-test] - every public call says all that its caller has to know.

What it does; its contexts; whether it may wait; what it returns; each error and its meaning; the unit of each time and
size; and an example: in a header, in README.md, in examples/, or in the file that a line "Example: PATH" names.
--self-test plants one violation of each kind.
"""
import errno
import os
import re
import sys
import tempfile

import headers

UNITS = re.compile(r"\b(nanoseconds|deadline|bytes|elements|sizeof|how many|as stack_size)\b", re.I)
COUNTS = re.compile(r"(const )?(int64_t|size_t) \w+$")


def examples(root):
    """All code that shows how a call is used, but that of the headers."""
    text = [program[2] for program in headers.readme_programs(root)]
    for folder, _, files in os.walk(os.path.join(root, "examples")):
        for name in files:
            if name.endswith(".c"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    text.append(file.read())
    return "\n".join(text)


def has_example(root, call, calls, macros, code):
    names = [call.name] + [m.name for m in macros if m.over == call.name]
    if call.base_name() in calls:
        names.append(call.base_name())
    if any(re.search(rf"\b{name}\(", code) for name in names):
        return True
    pointer = re.search(r"\bExample: (\S+?)[.,;]?(\s|$)", call.text.all_text())
    if not pointer or not os.path.isfile(os.path.join(root, pointer[1])):
        return False
    with open(os.path.join(root, pointer[1]), encoding="utf-8") as file:
        return re.search(rf"\b{call.name}\(", file.read()) is not None


def faults_of_call(call, calls):
    """What is wrong with the comment of a call, its example apart."""
    if not call.commented:
        return ["has no comment"]
    description, _, own_returns, own_errors, _ = call.parts()
    context, returns, errors = headers.contract(call, calls)
    prose = " ".join(b[-1] for b in description if b[0] == "prose")
    faults = []
    if not prose:
        faults.append("does not say what it does")
    if not context:
        faults.append('does not say who may call it: a line that begins with "Any thread", "Plain threads only", ...')
    elif not re.search(r"\b(waits|may wait)\b", context):
        faults.append('does not say whether it waits: "waits" or "never waits" behind its context')
    fails_not = re.search(r"\bcannot fail\b", context, re.I)
    if call.result == "int" and not errors and not fails_not:
        faults.append('lists no error and does not say "cannot fail"')
    if call.result.endswith("*") and "NULL" not in prose + returns:
        faults.append("does not say whether it returns NULL")
    if call.result == "int" and not returns and not fails_not:
        faults.append("does not say what it returns")
    if call.result not in ("int", "void") and not returns and not re.match(r"(The|A|An|How|Whether) ", prose):
        faults.append("does not say what it returns")
    if re.search(r"(, |\b)or,?$|,$", own_returns) and not own_errors:
        faults.append("begins a list of errors and has none")
    for name, meaning in own_errors.items():
        if not meaning:
            faults.append(f"does not say what {name} means")
        if not hasattr(errno, name[1:]):
            faults.append(f"names an error that does not exist: {name}")
    for param in call.params:
        if COUNTS.match(param) and not UNITS.search(prose):
            faults.append(f"does not say the unit of `{param}`")
    return faults


def faults_of_record(item):
    """What is wrong with a struct or an enum that has names for the user."""
    if not item.name or all("oa_private" in f[0] for f in item.fields):
        return []
    faults = []
    options = item.fields[0][0] == "size_t size"
    for code, note in item.fields:
        if not note:
            faults.append(f"does not say what `{code}` is")
        elif options and COUNTS.match(code) and not UNITS.search(note):
            faults.append(f"does not say the unit of `{code}`")
    return faults


def check(root):
    """All faults, as lines of text, and the number of calls."""
    try:
        all_headers = headers.read_all(root)
    except headers.Unreadable as error:
        return [str(error)], 0
    everything = [i for h in all_headers for i in h.items]
    calls = {i.name: i for i in everything if i.kind == "call"}
    macros = [i for i in everything if i.kind == "macro"]
    texts = [h.top for h in all_headers] + [t for h in all_headers for _, t in h.sections]
    texts += [i.text for i in everything]
    code = "\n".join(["\n".join(block) for text in texts for block in text.code()] + [examples(root)])
    faults = []
    for item in everything:
        found = faults_of_record(item)
        if item.kind == "call":
            found = faults_of_call(item, calls)
            if item.commented and not has_example(root, item, calls, macros, code):
                found.append('has no example, in a header, README.md or examples/, nor a line "Example: PATH"')
        elif item.kind == "macro" and not item.text.blocks and not item.prototype:
            found.append("has no comment")
        elif item.kind == "macro" and item.over and item.over not in calls:
            found.append(f"ends in {item.over}(), which is not declared")
        faults += [f"include/{item.header}:{item.line}: {item.name} {fault}" for fault in found]
    return faults, len(calls)


GOOD = """// oasync/x.h - a test.
//
//     oa_x_wait(x, 5, 8);

// Waits for `ns` nanoseconds with `size` bytes.
// Any thread; waits.
// Returns 0, or
//  -EINVAL  x is NULL.
int oa_x_wait(oa_x_t *x, int64_t ns, size_t size);

// As oa_x_wait(), until a deadline at the latest. Also
//  -ETIMEDOUT  the deadline has passed.
int oa_x_wait_until(oa_x_t *x, int64_t deadline);
"""

# What is replaced, by what, and a word of the complaint.
VIOLATIONS = [
    (r"// Waits for(.*\n)*?(?=int)", "", "no comment"),
    (r"// Waits for .*\n", "", "what it does"),
    (r"// Any thread; waits.\n", "", "who may call"),
    (r"; waits", "", "whether it waits"),
    (r"//  -EINVAL.*\n", "", "has none"),
    (r"// Returns 0, or\n//  -EINVAL.*\n", "// Returns 0.\n", "lists no error"),
    (r"// Returns 0, or\n", "", "what it returns"),
    (r"  x is NULL.", "", "what -EINVAL means"),
    (r"-EINVAL", "-EWRONG", "does not exist"),
    (r"nanoseconds with `size` bytes", "a while", "unit of"),
    (r"    oa_x_wait.*", "", "no example"),
    (r"//     oa_x_wait.*", "// Example: README.md", "no example"),
    (r"int (oa_x_wait\()", r"void *\1", "returns NULL"),
    (r"// Returns 0, or\n//  -EINVAL.*\nint (oa_x_wait\()", r"bool \1", "what it returns"),
    (r"oa_x_wait\(oa_x_t", "OA_ATTRIBUTE oa_x", "cannot read"),
    (r"$(?![\n])", "\ntypedef struct oa_y {\n    size_t size; // sizeof\n    size_t n; // its size\n} oa_y_t;\n", "unit of"),
    (r"$(?![\n])", "\ntypedef struct oa_y {\n    int n;\n} oa_y_t;\n", "what `int n` is"),
    (r"x\.h - a", "y.h - a", "top comment"),
    (r"$(?![\n])", "\n#define oa_y(...) oa_x_wait(__VA_ARGS__, 0)\n", "oa_y has no comment"),
    (r"$(?![\n])", "\n// int oa_y(x): oa_y(1).\n#define oa_y(...) oa_z_wait(__VA_ARGS__)\n", "not declared"),
]


def self_test():
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "include", "oasync"))

        def faults(text):
            for name, content in (("README.md", ""), ("include/oasync.h", "// oasync.h - all.\n"),
                                  ("include/oasync/x.h", text)):
                with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                    file.write(content)
            return check(root)[0]

        if faults(GOOD):
            sys.exit(f"check.py: self-test: what is good is refused: {faults(GOOD)}")
        for pattern, replacement, complaint in VIOLATIONS:
            bad = re.sub(pattern, replacement, GOOD, count=1)
            if bad == GOOD:
                sys.exit(f"check.py: self-test: {pattern} is not there")
            found = faults(bad)
            if not any(complaint in fault for fault in found):
                sys.exit(f'check.py: self-test: planted for "{complaint}": {pattern}; found: {found}')


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "..")
    faults, count = check(root)
    if not count and not faults:
        faults.append("no call found")
    print("\n".join(faults), end="\n" if faults else "")
    sys.exit(bool(faults))


main()
