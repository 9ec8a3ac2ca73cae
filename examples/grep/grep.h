// SPDX-License-Identifier: BSD-2-Clause
// grep.h - oagrep: what its files share.
//
// The way of a file through the program:
//     walk.c    a task for each directory reads, sorts and spawns a task for each entry
//     search.c  a task for each file reads it and finds the lines that match (match.c)
//     print.c   the first task joins all of them in the order of the sorted walk and prints
//     main.c    options, the runtime, the exit status
#ifndef OAGREP_H
#define OAGREP_H

#include <oasync.h>
#include <regex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

// What the command line asks for. Written by main() before the runtime starts, then only read.
struct options {
    bool count;       // -c
    bool ignore_case; // -i
    bool list;        // -l
    bool number;      // -n
    bool stats;       // --stats
    bool names;       // lines and counts begin with the name of their file
    int workers;      // -w, 0: as many as there are CPUs
    const char *pattern;
    char **paths;
    size_t path_count;
    struct stat out;     // standard output, which must not be searched while it is written
    oa_sem_t open_files; // a permit for each file or directory that may be open at once
};

extern struct options options;

// What progress and --stats tell. Any task adds, relaxed: nothing else depends on the figures.
struct totals {
    atomic_ullong files, directories, bytes;
    unsigned long long lines; // selected; the printer alone
};

extern struct totals totals;

enum kind { KIND_FILE, KIND_DIRECTORY, KIND_STDIN };

// A file or directory of the walk. Written by its own task (its parent's before that was spawned),
// read by the printer after it has joined that task, and freed by the printer.
struct node {
    struct node *parent; // NULL for a path of the command line
    struct node *child;  // a directory's first entry, in order
    struct node *next;   // the next entry of the same directory, in order
    oa_task_t *task;     // to be joined before anything below is read; NULL: it has run already
    char *output;        // the selected lines, ready to print
    size_t output_size;
    uint64_t selected;   // how many lines matched
    int error;           // an errno value, 0: none
    const char *problem; // or what else went wrong
    enum kind kind;
    bool deferred; // too much output is waiting: the printer is to search this file itself
    bool again;    // "-" once more: the printer searches what the first one has left
    char name[];   // within the parent; of the command line: the whole path
};

// walk.c
struct node *node_make(struct node *parent, const char *name, enum kind kind);
void node_free(struct node *node);
char *node_path(const struct node *node);                          // to be freed; NULL: no memory
const char *node_shown(const struct node *node, const char *path); // what users see of a path
void node_spawn(struct node *node); // its task, or in place when there is no memory for one
int open_path(const char *path, int flags);

// search.c
int search_start(void); // in the first task; 0 or a negative errno
void search_end(void);
void search_file(void *node);            // a task: fills in `output` and the rest
void search_deferred(struct node *node); // the printer: writes to stdout as it goes
void search_printed(struct node *node);  // its output has been printed

// match.c: one compiled pattern, to be used by one thread at a time.
struct matcher {
    regex_t *regex; // one for each line of the pattern
    size_t regex_count;
    char *literal; // bytes that every selected line holds, in lower case with -i; NULL: unknown
    size_t literal_size;
    bool exact; // a line that holds them is selected; no regex is needed
};

const char *matcher_make(struct matcher *matcher); // NULL, or what is wrong with the pattern
void matcher_free(struct matcher *matcher);
bool matcher_selects(const struct matcher *matcher, const char *line, size_t size, int *error);

// print.c
int print_all(void); // the exit status

#endif
