// SPDX-License-Identifier: BSD-2-Clause
// print.c - the first task: starts the walk, then prints everything in the order of the sorted
// walk, each file as soon as all before it have been printed.
//
// Standard output is flushed before every wait, so that nothing known is held back. The progress
// line on a terminal is written by a task of its own; the mutex keeps the two from mixing.
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "grep.h"

struct printer {
    bool failed;       // a problem has been told: exit status 2
    bool selected;     // a line has been selected
    bool progress;     // there is a progress line to wipe
    oa_mutex_t screen; // whoever writes to stderr, or lets stdout through, holds it
};

static struct printer printer = {.screen = OA_MUTEX_INIT};

// ---- Progress ---------------------------------------------------------------------------------

static void show_progress(void *arg)
{
    (void)arg;
    while (oa_sleep(200 * OA_MILLISECOND) == 0) {
        oa_mutex_lock(&printer.screen);
        fprintf(stderr, "\r\033[K%llu files, %.1f MB",
                atomic_load_explicit(&totals.files, memory_order_relaxed),
                (double)atomic_load_explicit(&totals.bytes, memory_order_relaxed) / 1e6);
        fflush(stderr);
        oa_mutex_unlock(&printer.screen);
    }
}

// Lets the printer write to the terminal: takes the mutex and wipes the progress line.
static void screen_take(void)
{
    oa_mutex_lock(&printer.screen);
    if (printer.progress)
        fputs("\r\033[K", stderr);
}

static void screen_give(void)
{
    oa_mutex_unlock(&printer.screen);
}

static void flush(void)
{
    screen_take();
    fflush(stdout);
    screen_give();
}

// ---- Printing ---------------------------------------------------------------------------------

static void tell(const char *path, const char *problem)
{
    screen_take();
    fflush(stdout);
    fprintf(stderr, "oagrep: %s: %s\n", path, problem);
    screen_give();
    printer.failed = true;
}

// Waits until the node's task has ended, with nothing held back.
static void await(struct node *node)
{
    oa_task_t *task = node->task;
    if (!task || oa_join_until(task, 0) == 0)
        return;
    flush();
    int result;
    while ((result = oa_join(task)) == -ENOMEM)
        oa_yield(); // no stack to wait on: another task will give one back
    if (result) {
        fprintf(stderr, "oagrep: join: %s\n", strerror(-result));
        abort();
    }
}

static void print_file(struct node *node, const char *shown)
{
    if (node->deferred)
        search_deferred(node);
    if (node->output_size)
        fwrite(node->output, 1, node->output_size, stdout);
    search_printed(node);
    if (options.list && node->selected)
        printf("%s\n", shown);
    else if (options.count && !options.list && !node->error && !node->problem)
        options.names ? printf("%s:%" PRIu64 "\n", shown, node->selected)
                      : printf("%" PRIu64 "\n", node->selected);
    printer.selected |= node->selected > 0;
    totals.lines += node->selected;
}

// Beside a progress line the output may not stop in the middle of a line, as a full buffer does.
static void print_file_beside_progress(struct node *node, const char *shown)
{
    screen_take();
    print_file(node, shown);
    fflush(stdout);
    screen_give();
}

static void print_node(struct node *node)
{
    char *path = node_path(node);
    if (!path) {
        tell(node->name, strerror(ENOMEM));
        return;
    }
    await(node);
    if (node->again)
        search_file(node);
    if (node->kind != KIND_DIRECTORY && printer.progress &&
        (node->selected || node->deferred || options.count))
        print_file_beside_progress(node, node_shown(node, path));
    else if (node->kind != KIND_DIRECTORY)
        print_file(node, node_shown(node, path));
    if (node->error)
        tell(node_shown(node, path), strerror(node->error));
    if (node->problem)
        tell(node_shown(node, path), node->problem);
    free(path);
}

// Prints the tree below a path of the command line and frees it on the way.
static void print_tree(struct node *node)
{
    while (node) {
        print_node(node);
        if (node->child) {
            node = node->child;
            continue;
        }
        while (node && !node->next) {
            struct node *parent = node->parent;
            node_free(node);
            node = parent;
        }
        if (node) {
            struct node *next = node->next;
            node_free(node);
            node = next;
        }
    }
}

// ---- The whole --------------------------------------------------------------------------------

// Makes the node for a path of the command line; tells why when there is none.
static struct node *root_make(const char *path)
{
    struct stat st;
    enum kind kind = KIND_FILE;
    if (!strcmp(path, "-")) {
        kind = KIND_STDIN;
    } else if (stat(path, &st)) {
        kind = KIND_FILE; // its task will find out why
    } else if (S_ISDIR(st.st_mode)) {
        kind = KIND_DIRECTORY;
    }
    options.names |= kind == KIND_DIRECTORY || options.path_count > 1;
    struct node *node = node_make(NULL, path, kind);
    // "tree///" is shown as "tree/".
    for (size_t n = strlen(path); node && kind == KIND_DIRECTORY && n > 1; n--) {
        if (strcmp(node->name + n - 2, "//"))
            break;
        node->name[n - 1] = 0;
    }
    return node;
}

int print_all(void)
{
    oa_task_t *progress = NULL;
    bool stdin_named = false;
    struct node **roots = calloc(options.path_count, sizeof(struct node *));
    if (!roots || search_start()) {
        free(roots);
        tell("cannot start", strerror(ENOMEM));
        return 2;
    }
    for (size_t i = 0; i < options.path_count; i++) {
        roots[i] = root_make(options.paths[i]);
        if (roots[i] && roots[i]->kind == KIND_STDIN) {
            roots[i]->again = stdin_named;
            stdin_named = true;
        }
    }
    printer.progress = isatty(STDERR_FILENO);
    if (printer.progress)
        oa_go(show_progress, .task = &progress, .name = "progress");
    for (size_t i = 0; i < options.path_count; i++) {
        if (roots[i] && !roots[i]->again)
            node_spawn(roots[i]);
    }
    for (size_t i = 0; i < options.path_count; i++) {
        if (roots[i])
            print_tree(roots[i]);
        else
            tell(options.paths[i], strerror(ENOMEM));
    }
    oa_cancel(progress);
    oa_join(progress);
    flush();
    search_end();
    free(roots);
    if (ferror(stdout))
        tell("standard output", "write error");
    return printer.failed ? 2 : printer.selected ? 0 : 1;
}
