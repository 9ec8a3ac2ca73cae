// SPDX-License-Identifier: BSD-2-Clause
// million.c - a million virtual threads in a line pass a token from hand to hand.
//
//     million [THREADS]
//
// Thread i receives from channel i, adds one and sends to channel i + 1; the first task sends the
// token in at the head and receives it at the tail, where it must have counted every thread. The
// line is then closed from its head, which ends thread after thread.
//
// Memory is what the kernel says of the whole process, resident memory and page tables together,
// after all threads wait and before there was any, channels told apart.
#define _GNU_SOURCE
#include <oasync.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 3 };

struct line {
    size_t threads;
    oa_chan_t **channels; // threads + 1
    atomic_size_t begun;  // threads that are about to wait for their first token
    int status;           // the exit status
};

// A thread's place in the line.
struct place {
    struct line *line;
    size_t index;
};

static void pass_on(void *arg)
{
    const struct place *place = arg;
    oa_chan_t *from = place->line->channels[place->index];
    oa_chan_t *to = place->line->channels[place->index + 1];
    uint64_t token;
    atomic_fetch_add(&place->line->begun, 1);
    while (oa_chan_recv(from, &token) == 0) {
        token++;
        if (oa_chan_send(to, &token))
            break;
    }
    oa_chan_close(to);
}

// Resident memory and page tables of this process, in bytes.
static double memory(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    char text[256];
    double sum = 0;
    while (file && fgets(text, sizeof text, file)) {
        if (!strncmp(text, "VmRSS:", 6) || !strncmp(text, "VmPTE:", 6))
            sum += strtod(text + 6, NULL) * 1024;
    }
    if (file)
        fclose(file);
    return sum;
}

static double seconds_since(int64_t began)
{
    return (double)(oa_now() - began) / (double)OA_SECOND;
}

static int make_channels(struct line *line)
{
    line->channels = calloc(line->threads + 1, sizeof(oa_chan_t *));
    if (!line->channels)
        return -1;
    for (size_t i = 0; i <= line->threads; i++) {
        line->channels[i] = oa_chan_make(sizeof(uint64_t));
        if (!line->channels[i])
            return -1;
    }
    return 0;
}

// Spawns the threads and lets them run until each waits. Returns 0 or a negative errno.
static int make_threads(struct line *line)
{
    for (size_t i = 0; i < line->threads; i++) {
        int error = oa_go(pass_on, oa_val((struct place){line, i}));
        if (error)
            return error;
    }
    oa_stats_t stats = OA_STATS_INIT;
    do { // begun is told just before the wait itself; the count of waits settles the rest
        oa_yield();
        oa_stats(NULL, &stats);
    } while (atomic_load(&line->begun) < line->threads || stats.parks < line->threads);
    return 0;
}

// Sends the token through the line once.
static int pass_token(const struct line *line)
{
    uint64_t token = 0;
    int64_t began = oa_now();
    int error = oa_chan_send(line->channels[0], &token);
    if (!error)
        error = oa_chan_recv(line->channels[line->threads], &token);
    double seconds = seconds_since(began);
    if (error || token != line->threads) {
        fprintf(stderr, "million: the token counted %llu: %s\n", (unsigned long long)token,
                error ? strerror(-error) : "wrong");
        return -1;
    }
    printf("a token counted all of them in %.3f s: %.0f ns from hand to hand\n", seconds,
           seconds * 1e9 / (double)(line->threads + 1));
    fflush(stdout);
    return 0;
}

static void close_line(struct line *line)
{
    int64_t began = oa_now();
    oa_chan_close(line->channels[0]);
    // The last thread closes the last channel; nothing is sent on it any more.
    if (oa_chan_recv(line->channels[line->threads], NULL) == 0)
        line->status = 1;
    printf("closed from head to tail in %.3f s\n", seconds_since(began));
}

static void run_line(void *arg)
{
    struct line *line = arg;
    double threads = (double)line->threads;
    line->status = 1;
    double empty = memory();
    if (make_channels(line)) {
        fprintf(stderr, "million: no memory for the channels\n");
        return;
    }
    double channels = memory() - empty;
    int64_t began = oa_now();
    int error = make_threads(line);
    if (error) {
        fprintf(stderr, "million: oa_go: %s\n", strerror(-error));
        oa_shutdown(NULL, OA_CANCEL);
        return;
    }
    double seconds = seconds_since(began);
    double stacks = memory() - empty - channels;
    printf("%zu virtual threads wait on %d workers after %.3f s: %.0f ns each\n", line->threads,
           oa_workers(NULL), seconds, seconds * 1e9 / threads);
    printf("memory of each: %.0f bytes (resident and page tables), and %.0f for its channel\n",
           stacks / threads, channels / threads);
    line->status = 0;
    for (int round = 0; round < ROUNDS && !line->status; round++)
        line->status = pass_token(line) != 0;
    close_line(line);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    struct line line = {.threads = 1000000};
    if (argc > 1)
        line.threads = strtoull(argv[1], &end, 10);
    if (argc > 2 || line.threads < 1 || line.threads > 100000000 || (end && *end)) {
        fprintf(stderr, "Usage: million [THREADS]\n");
        return 2;
    }
    int error = oa_run(run_line, &line);
    if (error) {
        fprintf(stderr, "million: oa_run: %s\n", strerror(-error));
        return 2;
    }
    for (size_t i = 0; line.channels && i <= line.threads; i++)
        oa_chan_free(line.channels[i]);
    free(line.channels);
    return line.status;
}
