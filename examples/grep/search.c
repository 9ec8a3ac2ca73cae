// SPDX-License-Identifier: BSD-2-Clause
// search.c - one file: read it in pieces, find its lines, keep what is to be printed.
//
// Buffers and the compiled pattern belong to a worker, not to a task: between taking the permit to
// open a file and closing it a task never waits, so it has its worker to itself. That keeps a task
// small however many there are.
//
// A file that holds a NUL byte anywhere is binary and has no line selected, as with grep -I; hence
// nothing of a file is printed before it has been read to its end. What waits to be printed is
// bounded: beyond PENDING_MAX bytes a file is put off until the printer gets to it, and is then
// read twice, the second time straight to standard output.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "grep.h"

// Most binary files show it in their first piece, which is therefore a small one.
enum { FIRST_READ = 32 << 10, READ_SIZE = 256 << 10, PENDING_MAX = 64 << 20 };

// What a worker has, touched by the task it runs only.
struct scratch {
    struct matcher matcher;
    bool ready;
    char *buffer; // what has been read
    size_t capacity;
    char *lower; // the same in lower case, for -i
    size_t lower_capacity;
};

static struct scratch *scratches; // by oa_worker_id()
static size_t scratch_count;
static atomic_size_t pending; // bytes of output that wait to be printed

// One search of one file.
struct scan {
    struct scratch *scratch;
    struct node *node;
    const char *path; // shown before each line; NULL: not shown
    size_t path_size;
    bool skip_lines;    // look for NUL bytes only
    bool stream;        // write to stdout instead of keeping the output
    bool may_defer;     // the file can be read again
    uint64_t file_size; // 0: not known
    bool binary;
    uint64_t line; // lines before `counted`, with -n
    const char *counted;
    size_t output_capacity;
};

int search_start(void)
{
    int limit = oa_worker_limit(NULL);
    if (limit < 0)
        return limit;
    scratches = calloc((size_t)limit, sizeof *scratches);
    scratch_count = (size_t)limit;
    return scratches ? 0 : -ENOMEM;
}

void search_end(void)
{
    for (size_t i = 0; i < scratch_count; i++) {
        matcher_free(&scratches[i].matcher);
        free(scratches[i].buffer);
        free(scratches[i].lower);
    }
    free(scratches);
}

// The scratch of the worker beneath the caller; it holds until the caller waits.
static struct scratch *scratch_get(void)
{
    struct scratch *scratch = &scratches[oa_worker_id()];
    if (!scratch->ready) {
        if (matcher_make(&scratch->matcher)) {
            matcher_free(&scratch->matcher);
            return NULL;
        }
        scratch->buffer = malloc(READ_SIZE);
        if (!scratch->buffer) {
            matcher_free(&scratch->matcher);
            return NULL;
        }
        scratch->capacity = READ_SIZE;
        scratch->ready = true;
    }
    return scratch;
}

// ---- Output -----------------------------------------------------------------------------------

static void output_discard(struct scan *scan)
{
    struct node *node = scan->node;
    atomic_fetch_sub_explicit(&pending, scan->output_capacity, memory_order_relaxed);
    free(node->output);
    node->output = NULL;
    node->output_size = 0;
    scan->output_capacity = 0;
}

// Makes room for `size` more bytes of output. False: no memory, or the file is put off.
static bool output_reserve(struct scan *scan, size_t size)
{
    struct node *node = scan->node;
    size_t capacity = scan->output_capacity ? scan->output_capacity : 512;
    if (node->output_size + size <= scan->output_capacity)
        return true;
    while (capacity < node->output_size + size)
        capacity *= 2;
    size_t grown = capacity - scan->output_capacity;
    size_t before = atomic_fetch_add_explicit(&pending, grown, memory_order_relaxed);
    scan->output_capacity = capacity;
    if (scan->may_defer && before + grown > PENDING_MAX) {
        node->deferred = true;
        return false;
    }
    char *output = realloc(node->output, capacity);
    if (!output) {
        node->error = ENOMEM;
        return false;
    }
    node->output = output;
    return true;
}

static void output_add(struct scan *scan, const char *data, size_t size)
{
    if (scan->stream) {
        fwrite_unlocked(data, 1, size, stdout); // the printer alone writes there
    } else {
        memcpy(scan->node->output + scan->node->output_size, data, size);
        scan->node->output_size += size;
    }
}

// The search is over: what is kept gives back the room it did not need.
static void output_settle(struct scan *scan)
{
    struct node *node = scan->node;
    char *output = node->output_size ? realloc(node->output, node->output_size) : NULL;
    if (output)
        node->output = output;
    atomic_fetch_sub_explicit(&pending, scan->output_capacity - node->output_size,
                              memory_order_relaxed);
    scan->output_capacity = node->output_size;
}

void search_printed(struct node *node)
{
    atomic_fetch_sub_explicit(&pending, node->output_size, memory_order_relaxed);
}

// ---- Lines ------------------------------------------------------------------------------------

// Counts the lines up to `to`, for -n.
static void count_lines(struct scan *scan, const char *to)
{
    const char *p = scan->counted;
    while (p < to && (p = memchr(p, '\n', (size_t)(to - p)))) {
        scan->line++;
        p++;
    }
    scan->counted = to;
}

// A line is selected. False: the search of this file is to end here.
static bool select_line(struct scan *scan, const char *line, size_t size)
{
    char number[32];
    int digits = 0;
    scan->node->selected++;
    if (options.list) {
        scan->skip_lines = true; // one is enough; the rest may still prove the file binary
        return true;
    }
    if (options.count)
        return true;
    if (options.number) {
        count_lines(scan, line);
        digits = snprintf(number, sizeof number, "%llu:", (unsigned long long)scan->line + 1);
    }
    size_t whole = scan->path_size + 1 + (size_t)digits + size + 1;
    if (!scan->stream && !output_reserve(scan, whole))
        return false;
    if (scan->path) {
        output_add(scan, scan->path, scan->path_size);
        output_add(scan, ":", 1);
    }
    output_add(scan, number, (size_t)digits);
    output_add(scan, line, size);
    output_add(scan, "\n", 1);
    return true;
}

// Makes a copy of [from, end) in lower case. NULL: no memory.
static const char *lower_copy(struct scratch *scratch, const char *from, const char *end)
{
    size_t size = (size_t)(end - from);
    if (scratch->lower_capacity < size) {
        free(scratch->lower);
        scratch->lower = malloc(size);
        scratch->lower_capacity = scratch->lower ? size : 0;
        if (!scratch->lower)
            return NULL;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)from[i];
        scratch->lower[i] = (char)(c + ((unsigned char)(c - 'A') < 26 ? 32 : 0));
    }
    return scratch->lower;
}

// Looks through whole lines, [from, end). False: the search of this file is to end here.
static bool scan_lines(struct scan *scan, const char *from, const char *end)
{
    const struct matcher *matcher = &scan->scratch->matcher;
    const char *haystack = from; // [from, end), in lower case with -i
    const char *p = from;
    if (options.ignore_case && matcher->literal_size) {
        haystack = lower_copy(scan->scratch, from, end);
        if (!haystack) {
            scan->node->error = ENOMEM;
            return false;
        }
    }
    scan->counted = from;
    while (p < end && !scan->skip_lines) {
        const char *line = p;
        if (matcher->literal_size) {
            const char *hit = memmem(haystack + (p - from), (size_t)(end - p), matcher->literal,
                                     matcher->literal_size);
            if (!hit)
                break;
            hit = from + (hit - haystack);
            const char *before = memrchr(p, '\n', (size_t)(hit - p));
            line = before ? before + 1 : p;
            p = hit;
        }
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (!stop)
            stop = end;
        p = stop + 1;
        size_t size = (size_t)(stop - line);
        if (matcher->exact || matcher_selects(matcher, line, size, &scan->node->error)) {
            if (!select_line(scan, line, size))
                return false;
        }
        if (scan->node->error)
            return false;
    }
    if (options.number)
        count_lines(scan, end);
    return true;
}

// ---- Files ------------------------------------------------------------------------------------

// Reads up to `most` bytes behind what the buffer holds, making it larger when it is full. Returns
// the number of bytes, 0 at the end, or a negative errno value.
static ssize_t read_more(struct scratch *scratch, int fd, size_t held, size_t most)
{
    ssize_t n;
    if (held == scratch->capacity) {
        char *buffer = realloc(scratch->buffer, 2 * scratch->capacity);
        if (!buffer)
            return -ENOMEM;
        scratch->buffer = buffer;
        scratch->capacity *= 2;
    }
    size_t room = scratch->capacity - held;
    do {
        n = read(fd, scratch->buffer + held, room < most ? room : most);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

// Reads the file to its end, or as far as needed.
static void scan_descriptor(struct scan *scan, int fd)
{
    struct scratch *scratch = scan->scratch;
    size_t held = 0; // bytes of a line whose end has not been read
    uint64_t total = 0;
    while (total == 0 || total != scan->file_size) { // its size, if known, saves the last read
        ssize_t n = read_more(scratch, fd, held, total ? READ_SIZE : FIRST_READ);
        if (n < 0)
            scan->node->error = (int)-n;
        if (n <= 0)
            break;
        char *fresh = scratch->buffer + held;
        total += (uint64_t)n;
        atomic_fetch_add_explicit(&totals.bytes, (size_t)n, memory_order_relaxed);
        scan->binary = memchr(fresh, 0, (size_t)n) != NULL;
        if (scan->binary)
            return;
        const char *newline = scan->skip_lines ? NULL : memrchr(fresh, '\n', (size_t)n);
        held = scan->skip_lines ? 0 : held + (size_t)n;
        if (!newline)
            continue;
        size_t whole = (size_t)(newline + 1 - scratch->buffer);
        if (!scan_lines(scan, scratch->buffer, newline + 1))
            return;
        held -= whole;
        memmove(scratch->buffer, scratch->buffer + whole, held);
    }
    if (held && !scan->skip_lines && !scan->node->error)
        scan_lines(scan, scratch->buffer, scratch->buffer + held);
}

// Whether an open file is to be searched; fills in what depends on its kind.
static bool file_check(struct scan *scan, int fd)
{
    struct node *node = scan->node;
    struct stat st;
    if (fstat(fd, &st)) {
        node->error = errno;
        return false;
    }
    bool regular = S_ISREG(st.st_mode);
    if (node->parent && !regular)
        return false; // it was a regular file when its directory was read
    if (regular && node->kind != KIND_STDIN && !options.count && !options.list &&
        S_ISREG(options.out.st_mode) && st.st_dev == options.out.st_dev &&
        st.st_ino == options.out.st_ino) {
        node->problem = "input file is also the output";
        return false;
    }
    scan->may_defer = regular && !scan->stream;
    scan->file_size = regular ? (uint64_t)st.st_size : 0;
    return true;
}

static void scan_open_file(struct scan *scan, int fd)
{
    struct node *node = scan->node;
    scan->scratch = scratch_get();
    if (!scan->scratch) {
        node->error = ENOMEM;
        return;
    }
    if (!file_check(scan, fd))
        return;
    if (scan->stream) { // once to learn that it is no binary file, then to print
        scan->skip_lines = true;
        scan_descriptor(scan, fd);
        scan->skip_lines = false;
        if (scan->binary || node->error || lseek(fd, 0, SEEK_SET))
            return;
    }
    node->selected = 0;
    scan_descriptor(scan, fd);
    if (scan->binary || node->deferred) {
        output_discard(scan);
        node->selected = 0;
    }
    output_settle(scan);
}

static void scan_node(struct node *node, bool stream)
{
    char *path = node_path(node);
    if (!path) {
        node->error = ENOMEM;
        return;
    }
    struct scan scan = {.node = node, .stream = stream};
    if (options.names) {
        scan.path = node_shown(node, path);
        scan.path_size = strlen(scan.path);
    }
    node->error = -oa_sem_acquire(&options.open_files);
    if (!node->error) {
        // From here to the release nothing waits: the worker and its scratch stay ours.
        int fd = node->kind == KIND_STDIN
                     ? STDIN_FILENO
                     : open_path(path, O_RDONLY | (node->parent ? O_NOFOLLOW : 0));
        if (fd >= 0)
            scan_open_file(&scan, fd);
        else if (fd != -ELOOP || !node->parent)
            node->error = -fd;
        if (fd >= 0 && node->kind != KIND_STDIN)
            close(fd);
        oa_sem_release(&options.open_files);
    }
    atomic_fetch_add_explicit(&totals.files, 1, memory_order_relaxed);
    free(path);
}

void search_file(void *node)
{
    scan_node(node, false);
}

void search_deferred(struct node *node)
{
    node->deferred = false;
    scan_node(node, true);
}
