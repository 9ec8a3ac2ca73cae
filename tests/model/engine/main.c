// SPDX-License-Identifier: BSD-2-Clause
// main.c - the command line of a model program, and what it prints about each model.
//
//     PROGRAM [--model NAME] [--mode dfs|random|pct] [--bound N] [--stale N] [--depth D]
//             [--seed S] [--runs N] [--executions N] [--seconds S] [--replay STRING]
//             [--whole] [--first] [--list]
//
// Without --mode every model is searched depth first up to its bound, within its budget, then by
// random and PCT runs. Budgets count executions, so that a run is repeatable; --seconds cuts by the
// clock. --whole explores from known states too (states.c); --first ends with the first failure.
// Exit: 0 all as expected, 1 a model failed, 2 wrong usage.
#include "engine.h"

#include <stdlib.h>
#include <string.h>

static struct model *models, **models_end = &models;

static struct {
    const char *model, *mode, *replay;
    int bound, stale, depth;
    long executions, runs;
    uint64_t seed;
    double seconds;
    bool bound_set, stale_set, list, whole, first;
} options = {.seed = 1};

void model_register(struct model *model)
{
    *models_end = model;
    models_end = &model->next;
}

static int or_default(int value, int normal)
{
    return value ? value : normal;
}

// In the resolved limits 0 is none; -1 no limit.
static void resolve_limits(const struct model *m)
{
    const struct model_options *o = &m->options;
    E.limits = *o;
    E.limits.bound = o->bound < 0 ? 0 : or_default(o->bound, 3);
    E.limits.stale = o->stale < 0 ? 0 : or_default(o->stale, -1);
    E.limits.reread = or_default(o->reread, 2);
    E.limits.weak = o->weak < 0 ? 0 : or_default(o->weak, 1);
    E.limits.steps = or_default(o->steps, 8000);
    E.limits.depth = or_default(options.depth ? options.depth : o->depth, 3);
    E.limits.executions = o->executions ? o->executions : 2000000;
    E.limits.runs = o->runs ? o->runs : 20000;
    if (options.bound_set)
        E.limits.bound = options.bound;
    if (options.stale_set)
        E.limits.stale = options.stale;
    if (options.executions)
        E.limits.executions = options.executions;
    if (options.runs)
        E.limits.runs = options.runs;
    if (E.limits.depth > 16)
        E.limits.depth = 16;
}

static void start_model(const struct model *m)
{
    E.model = m;
    E.seen = 0;
    E.whole = options.whole || m->options.statics;
    memset(E.learned, 0, sizeof *E.learned * LEARNED);
    resolve_limits(m);
}

// ---- Reports ------------------------------------------------------------------------------------

static void print_verdict(const char *what, const struct verdict *v, const char *end)
{
    printf("  %s: %ld executions, ", what, v->executions);
    if (v->known)
        printf("%ld left early, ", v->known);
    printf("%s%.0f/s\n", end, v->seconds > 0 ? (double)v->executions / v->seconds : 0);
}

static bool expected(const struct model *m)
{
    return m->options.fails && strstr(E.failure, m->options.fails);
}

// Replays the choices as a new process would. Returns whether it fails in the same way.
static bool reproduces(const char *choices, bool trace)
{
    char *failure = strdup(E.failure);
    memset(E.learned, 0, sizeof *E.learned * LEARNED);
    bool same = eng_replay(choices, trace) && strcmp(failure, E.failure) == 0;
    free(failure);
    return same;
}

// The last execution failed. Returns the number of unexpected failures: 0 or 1.
static int report_failure(const struct model *m)
{
    bool as_it_should = expected(m);
    eng_shrink();
    char *choices = strdup(eng_log_text());
    bool same = reproduces(choices, !as_it_should);
    if (as_it_should && same) {
        printf("  fails, as it should: %.60s\n", m->options.fails);
    } else {
        eng_trace_print(stdout);
        printf("FAILED %s: ", m->name);
        eng_print_resolved(stdout, E.failure);
        if (!same)
            printf("\n  NOT REPRODUCED: does setup reset all that the model uses?");
        printf("\n  replay: --model %s --replay %s\n", m->name, choices);
    }
    free(choices);
    return !as_it_should || !same;
}

static int report_end(const struct model *m, bool whole_search)
{
    uint64_t missing = m->options.must_see & ~E.seen;
    int bad = 0;
    if (missing && whole_search) {
        printf("FAILED %s: never seen: outcome %d", m->name, __builtin_ctzll(missing));
        printf(" (seen: %#lx of %#lx)\n", (long)E.seen, (long)m->options.must_see);
        bad = 1;
    }
    if (m->options.fails && whole_search) {
        printf("FAILED %s: it should fail with '%s'\n", m->name, m->options.fails);
        bad = 1;
    }
    return bad;
}

// ---- Searches -----------------------------------------------------------------------------------

// Bounds 0, 1, ... up to the model's; all together within the budget.
static struct verdict search_dfs(void)
{
    struct verdict all = {0};
    long budget = E.limits.executions;
    double start = eng_now();
    int last = E.limits.bound;
    char what[64];
    for (int bound = 0; bound <= last; bound++) {
        double left = options.seconds > 0 ? options.seconds - (eng_now() - start) : 0;
        if (options.seconds > 0 && left <= 0)
            break;
        struct verdict v = eng_dfs(bound, budget - all.executions, left);
        all.executions += v.executions;
        all.failed = v.failed;
        all.complete = v.complete && bound == last;
        snprintf(what, sizeof what, "dfs, %d of %d preemptions", bound, last);
        if (!v.complete || bound == last)
            print_verdict(what, &v, v.failed ? "failed, " : v.complete ? "complete, " : "cut, ");
        if (v.failed || !v.complete)
            break;
    }
    all.seconds = eng_now() - start;
    E.limits.bound = last;
    return all;
}

static struct verdict search_random(enum mode mode)
{
    int spurious = E.limits.spurious;
    char what[64];
    E.limits.spurious = spurious ? spurious : 1;
    struct verdict v = eng_random(mode, options.seed, E.limits.runs, options.seconds);
    E.limits.spurious = spurious;
    snprintf(what, sizeof what, "%s, seed %lu", mode == MODE_PCT ? "pct" : "random",
             (unsigned long)options.seed);
    print_verdict(what, &v, v.failed ? "failed, " : "");
    return v;
}

static bool wants(const char *mode)
{
    return !options.mode || strcmp(options.mode, mode) == 0;
}

static int run_model(const struct model *m, struct verdict *total)
{
    struct verdict v = {.complete = true};
    start_model(m);
    printf("%s\n", m->name);
    fflush(stdout);
    for (int step = 0; step < 3 && !v.failed; step++) {
        static const char *const names[] = {"dfs", "random", "pct"};
        if (!wants(names[step]) || (step > 0 && E.limits.runs < 0))
            continue;
        v = step == 0 ? search_dfs() : search_random(step == 1 ? MODE_RANDOM : MODE_PCT);
        total->executions += v.executions;
        total->seconds += v.seconds;
        if (step == 0 && !v.failed)
            total->complete &= v.complete;
    }
    return v.failed ? report_failure(m) : report_end(m, !options.mode);
}

static int replay_model(const struct model *m)
{
    start_model(m);
    bool failed = eng_replay(options.replay, true);
    eng_trace_print(stdout);
    printf("%s %s: ", failed ? "FAILED" : "passed", m->name);
    eng_print_resolved(stdout, failed ? E.failure : "nothing wrong in this execution");
    printf("\n");
    return failed && !expected(m);
}

// ---- Command line -------------------------------------------------------------------------------

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--model NAME] [--mode dfs|random|pct] [--bound N] [--stale N] [--depth D]\n"
            "       [--seed S] [--runs N] [--executions N] [--seconds S] [--replay STRING] "
            "[--whole] [--first] [--list]\n",
            program);
    return 2;
}

static bool take_option(const char *name, const char *value)
{
    if (strcmp(name, "--model") == 0)
        options.model = value;
    else if (strcmp(name, "--mode") == 0)
        options.mode = value;
    else if (strcmp(name, "--replay") == 0)
        options.replay = value;
    else if (strcmp(name, "--bound") == 0)
        options.bound = atoi(value), options.bound_set = true;
    else if (strcmp(name, "--stale") == 0)
        options.stale = atoi(value), options.stale_set = true;
    else if (strcmp(name, "--depth") == 0)
        options.depth = atoi(value);
    else if (strcmp(name, "--seed") == 0)
        options.seed = strtoull(value, NULL, 0);
    else if (strcmp(name, "--runs") == 0)
        options.runs = atol(value);
    else if (strcmp(name, "--executions") == 0)
        options.executions = atol(value);
    else if (strcmp(name, "--seconds") == 0)
        options.seconds = atof(value);
    else
        return false;
    return true;
}

static bool read_options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            options.list = true;
        else if (strcmp(argv[i], "--whole") == 0)
            options.whole = true;
        else if (strcmp(argv[i], "--first") == 0)
            options.first = true;
        else if (i + 1 == argc || !take_option(argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    const char *m = options.mode;
    return !m || !strcmp(m, "dfs") || !strcmp(m, "random") || !strcmp(m, "pct");
}

int main(int argc, char **argv)
{
    if (!read_options(argc, argv) || (options.replay && !options.model))
        return usage(argv[0]);
    struct verdict total = {.complete = true};
    int ran = 0, bad = 0;
    eng_set_up();
    for (struct model *m = models; m && !(bad && options.first); m = m->next) {
        if (options.model && strcmp(options.model, m->name) != 0)
            continue;
        ran++;
        if (options.list)
            printf("%s\n", m->name);
        else
            bad += options.replay ? replay_model(m) : run_model(m, &total);
    }
    if (options.model && ran == 0) {
        fprintf(stderr, "no model '%s'\n", options.model);
        return 2;
    }
    if (!options.list && !options.replay)
        printf("%d models, %d failed: %ld executions, %s, %.0f executions/s\n", ran, bad,
               total.executions, total.complete ? "complete" : "cut",
               total.seconds > 0 ? (double)total.executions / total.seconds : 0);
    return bad > 0;
}
