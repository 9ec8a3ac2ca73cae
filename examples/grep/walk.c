// SPDX-License-Identifier: BSD-2-Clause
// walk.c - the tree: a node and a task for each directory and each file.
//
// A directory's task reads its entries, sorts them by their bytes and spawns a task for each. What
// is neither a directory nor a regular file is passed over in silence, symbolic links too; only a
// path of the command line is followed.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "grep.h"

struct node *node_make(struct node *parent, const char *name, enum kind kind)
{
    size_t size = strlen(name) + 1;
    struct node *node = calloc(1, sizeof *node + size);
    if (node) {
        node->parent = parent;
        node->kind = kind;
        memcpy(node->name, name, size);
    }
    return node;
}

void node_free(struct node *node)
{
    free(node->output);
    free(node);
}

char *node_path(const struct node *node)
{
    size_t size = 1;
    for (const struct node *n = node; n; n = n->parent)
        size += strlen(n->name) + 1;
    char *path = malloc(size);
    if (!path)
        return NULL;
    char *p = path + size - 1;
    *p = 0;
    for (const struct node *n = node; n; n = n->parent) {
        size_t length = strlen(n->name);
        bool slash = n != node && !(length && n->name[length - 1] == '/');
        p -= length + slash;
        memcpy(p, n->name, length);
        if (slash)
            p[length] = '/';
    }
    memmove(path, p, strlen(p) + 1);
    return path;
}

const char *node_shown(const struct node *node, const char *path)
{
    return node->kind == KIND_STDIN ? "(standard input)" : path;
}

// open(), also for paths longer than the kernel takes at once. Returns a descriptor or a negative
// errno value.
int open_path(const char *path, int flags)
{
    int at = AT_FDCWD;
    while (strlen(path) >= PATH_MAX) {
        char head[PATH_MAX];
        const char *slash = memrchr(path, '/', PATH_MAX - 1);
        if (!slash || slash == path)
            break; // the kernel will say what it thinks of it
        memcpy(head, path, (size_t)(slash - path));
        head[slash - path] = 0;
        int next = openat(at, head, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int error = errno;
        if (at != AT_FDCWD)
            close(at);
        if (next < 0)
            return -error;
        at = next;
        path = slash + 1;
    }
    int fd = openat(at, path, flags | O_CLOEXEC | O_NOCTTY);
    int result = fd < 0 ? -errno : fd;
    if (at != AT_FDCWD)
        close(at);
    return result;
}

static int compare_names(const void *a, const void *b)
{
    const struct node *const *left = a;
    const struct node *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

// Whether an entry is to be searched; sets *kind.
static bool is_wanted(int fd, const struct dirent64 *entry, enum kind *kind)
{
    unsigned char type = entry->d_type;
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
        return false;
    if (type == DT_UNKNOWN) {
        struct stat st;
        if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
            return false;
        type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_LNK;
    }
    *kind = type == DT_DIR ? KIND_DIRECTORY : KIND_FILE;
    return type == DT_DIR || type == DT_REG;
}

struct list {
    struct node **nodes;
    size_t count, capacity;
};

static bool list_add(struct list *list, struct node *node)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct node **nodes = realloc(list->nodes, capacity * sizeof *nodes);
        if (!nodes)
            return false;
        list->nodes = nodes;
        list->capacity = capacity;
    }
    list->nodes[list->count++] = node;
    return true;
}

// Reads the entries of a directory into `list`. Returns 0 or an errno value.
static int read_entries(int fd, struct node *parent, struct list *list)
{
    _Alignas(struct dirent64) char buffer[32 << 10];
    ssize_t size;
    while ((size = getdents64(fd, buffer, sizeof buffer)) > 0) {
        for (char *p = buffer; p < buffer + size;) {
            const struct dirent64 *entry = (void *)p;
            enum kind kind;
            p += entry->d_reclen;
            if (!is_wanted(fd, entry, &kind))
                continue;
            struct node *node = node_make(parent, entry->d_name, kind);
            if (!node || !list_add(list, node)) {
                free(node);
                return ENOMEM;
            }
        }
    }
    return size == 0 || errno == ENOENT ? 0 : errno; // ENOENT: it was removed meanwhile
}

// Lists the directory into `list` while it holds one of the permits for open files.
static int list_directory(struct node *node, struct list *list)
{
    char *path = node_path(node);
    if (!path)
        return ENOMEM;
    int error = -oa_sem_acquire(&options.open_files);
    if (error) {
        free(path);
        return error;
    }
    int flags = O_RDONLY | O_DIRECTORY | (node->parent ? O_NOFOLLOW : 0);
    int fd = open_path(path, flags);
    if (fd >= 0) {
        error = read_entries(fd, node, list);
        close(fd);
    } else {
        error = -fd;
    }
    oa_sem_release(&options.open_files);
    free(path);
    return error;
}

static void walk_directory(void *arg)
{
    struct node *node = arg;
    struct list list = {0};
    node->error = list_directory(node, &list);
    if (list.count)
        qsort(list.nodes, list.count, sizeof(struct node *), compare_names);
    for (size_t i = 0; i + 1 < list.count; i++)
        list.nodes[i]->next = list.nodes[i + 1];
    if (list.count)
        node->child = list.nodes[0];
    atomic_fetch_add_explicit(&totals.directories, 1, memory_order_relaxed);
    for (size_t i = 0; i < list.count; i++)
        node_spawn(list.nodes[i]);
    free(list.nodes);
}

void node_spawn(struct node *node)
{
    oa_fn *fn = node->kind == KIND_DIRECTORY ? walk_directory : search_file;
    if (oa_go(fn, node, .task = &node->task, .name = node->name))
        fn(node);
}
