// SPDX-License-Identifier: BSD-2-Clause
// main.c - oagrep: options, the runtime, the exit status.
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "grep.h"

struct options options;
struct totals totals;

static const char usage[] =
    "Usage: oagrep [-c] [-i] [-l] [-n] [-w WORKERS] [--stats] PATTERN PATH...\n"
    "Prints the lines that match PATTERN, a POSIX basic regular expression (several, one a line),\n"
    "in files and, recursively, in directories; \"-\" is standard input.\n"
    "\n"
    "  -c          print how many lines match in each file instead\n"
    "  -i          let letters match in either case\n"
    "  -l          print the names of the files that have a match instead\n"
    "  -n          print the number of each line\n"
    "  -w WORKERS  search on so many threads (default: one for each CPU)\n"
    "  --stats     tell on standard error what was done\n"
    "\n"
    "The order is that of the command line and, within a directory, of the names' bytes. A file\n"
    "with a NUL byte anywhere is binary and has no match (as with grep -I). Symbolic links and\n"
    "special files are used where they are named on the command line and passed over elsewhere.\n"
    "Bytes are characters, as with LC_ALL=C.\n"
    "\n"
    "Exit status: 0 if a line matched, 1 if none did, 2 after an error.\n";

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "oagrep: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    exit(2);
}

static int parse_workers(const char *text)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < 1 || n > 1 << 20)
        fail(text, "not a number of workers");
    return (int)n;
}

static void parse_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"stats", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "cilnw:", names, NULL)) != -1) {
        switch (option) {
        case 'c': options.count = true; break;
        case 'i': options.ignore_case = true; break;
        case 'l': options.list = true; break;
        case 'n': options.number = true; break;
        case 'w': options.workers = parse_workers(optarg); break;
        case 's': options.stats = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (argc - optind < 2) {
        fputs(usage, stderr);
        exit(2);
    }
    options.pattern = argv[optind];
    options.paths = argv + optind + 1;
    options.path_count = (size_t)(argc - optind - 1);
}

// As many files as may be open at once, a few descriptors left for others.
static int open_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 1024)
        return 512;
    return limit.rlim_cur < 64 ? 8 : (int)limit.rlim_cur / 2;
}

static void tell_stats(int64_t began)
{
    oa_stats_t stats = OA_STATS_INIT;
    double seconds = (double)(oa_now() - began) / (double)OA_SECOND;
    oa_stats(NULL, &stats);
    fprintf(stderr,
            "%llu files, %llu directories, %.1f MB, %llu lines selected in %.3f s\n"
            "%llu tasks on %d workers: %llu dispatches, %llu steals, %llu waits, "
            "at most %llu stacks\n",
            atomic_load(&totals.files), atomic_load(&totals.directories),
            (double)atomic_load(&totals.bytes) / 1e6, totals.lines, seconds,
            (unsigned long long)stats.tasks_spawned, oa_workers(NULL),
            (unsigned long long)stats.dispatches, (unsigned long long)stats.steals,
            (unsigned long long)stats.parks, (unsigned long long)stats.stacks_peak);
}

static void grep(void *arg)
{
    int64_t began = oa_now();
    *(int *)arg = print_all();
    if (options.stats)
        tell_stats(began);
}

int main(int argc, char **argv)
{
    struct matcher matcher;
    int status = 2;
    parse_options(argc, argv);
    const char *problem = matcher_make(&matcher);
    if (problem)
        fail(problem, NULL);
    matcher_free(&matcher);
    oa_sem_init(&options.open_files, open_file_limit());
    if (fstat(STDOUT_FILENO, &options.out))
        options.out.st_mode = 0;
    setvbuf(stdout, NULL, _IOFBF, 256 << 10);
    int error = oa_run(grep, &status, .max_workers = options.workers, .name = "oagrep");
    if (error)
        fail("cannot start", strerror(-error));
    return status;
}
