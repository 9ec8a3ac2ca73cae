# SPDX-License-Identifier: BSD-2-Clause
"""pages.py - which declarations stand together on a page of the reference, and what the page is called.

A name goes to the page of its first word, oa_mutex_lock to oa_mutex; a call that shares its first word with nobody has a
page of its own. The table is for what that would tear apart.
"""
import re

# page: (what it is about, the names and first words that belong there)
TABLE = {
    "oa_run": ("runs tasks on the calling thread and others until none is left", "oa_run oa_config"),
    "oa_start": ("starts a runtime beside the caller, and waits for its end", "oa_start oa_wait"),
    "oa_coord": ("the calling task's runtime and its workers", "oa_coord oa_workers oa_worker"),
    "oa_go": ("spawns a task", "oa_go oa_spec oa_val oa_where"),
    "oa_join": ("waits for a task to end, or gives up its handle", "oa_join oa_detach"),
    "oa_cancel": ("cancels a task, and holds a cancel off", "oa_cancel oa_cancelled oa_shield"),
    "oa_sleep": ("waits for some time, or lets others run", "oa_sleep oa_yield"),
    "oa_select": ("waits until one of several sends and receives can happen", "oa_select oa_case"),
    "oa_self": ("the calling task, numbers and names of tasks", "oa_self oa_task"),
    "oa_local": ("values of a task's own, by keys", "oa_local"),
    "oa_time": (None, "oa_now oa_after"),
    "oasync": ("virtual threads for C", "oa_version"),
}
WORDS = {word: page for page, (_, words) in TABLE.items() for word in words.split()}


class Page:
    def __init__(self, name):
        self.name, self.title, self.items = name, "", []

    def calls(self):
        """What is called: functions, and macros that stand for one."""
        return [i for i in self.items if i.kind in ("call", "macro")]


def of_name(name, names):
    word = "_".join(name.split("_")[:2])
    shared = sum(bool(re.match(word + r"(_|$)", n)) for n in names) > 1
    return WORDS.get(name) or WORDS.get(word) or (word if shared else name)


def arrange(headers):
    """All pages, in the order of their first declaration."""
    names = {i.name for h in headers for i in h.items if i.name.startswith("oa_")}
    pages = {}
    with_calls = {of_name(i.name, names) for h in headers for i in h.items if i.kind == "call"}
    for header in headers:
        in_header = [of_name(i.name, names) for i in header.items if i.kind == "call"]
        following = in_header[-1] if in_header else ""
        for item in reversed(header.items):
            page = of_name(item.name.lower(), names) if item.name else ""
            if item.kind == "call":
                following = page
            item.page = page if page in with_calls else following
        for item in header.items:
            pages.setdefault(item.page, Page(item.page)).items.append(item)
    for page in pages.values():
        page.title = title(page, pages, headers)
    return pages


def title(page, pages, headers):
    first = page.calls()[0]
    header = next(h for h in headers if h.name == first.header)
    in_section = {i.page for i in header.items if i.section and i.section == first.section}
    if page.name in TABLE and TABLE[page.name][0]:
        return TABLE[page.name][0]
    if in_section == {page.name}:
        return first.section[0].lower() + first.section[1:]
    if {i.page for i in header.items} == {page.name}:
        return header.title
    sentence = re.split(r"[.:;](?: |$)", next(i for i in page.items if i.kind == "call").text.all_text())[0]
    return sentence[0].lower() + sentence[1:].replace("`", "")
