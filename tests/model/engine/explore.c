// SPDX-License-Identifier: BSD-2-Clause
// explore.c - the model checker's search: every execution is a sequence of answers to choices.
//
// How the checker works. The shipped sources and the model are compiled with -fsanitize=thread, so
// that every memory access becomes a call; the engine, compiled without, stands behind these calls
// (tsan.c). Model threads are fibers on one OS thread (sched.c), so an execution is determined by
// the answers eng_choose() gives: which thread runs next, which store a load reads, whether a weak
// compare-exchange fails, which waiter a wake takes. memory.c holds the weak-memory model, shadow.c
// finds data races and uses of dead memory, run.c makes one execution, trace.c prints it, main.c
// is the command line. This file gives the answers:
//   - Depth first: all of them, for executions with at most `bound` preemptions (a switch away from
//     a thread that could go on) and `stale` stale reads. Answer 0 always is the dull one: go on,
//     read the newest. The bound is raised from 0 up, as most bugs need few preemptions.
//   - Random: uniformly among the threads, at every scheduling point.
//   - PCT: random priorities, lowered at depth - 1 random points; finds a bug that needs d ordered
//     events with a known probability (Burckhardt et al., A randomized scheduler with probabilistic
//     guarantees of finding bugs, ASPLOS 2010).
// A reduction: no scheduling point stands before an operation on an address that, in all executions
// so far, no other thread has used, or nobody has written. Such an operation commutes with all
// others. When an address turns out to be shared after all the depth-first search begins again, so
// that the search which ends has used it soundly throughout. Another: an execution that comes to a
// state from which all has been explored is left there; states.c tells how it knows.
//
// Every choice has a number, counted in each execution also where only one answer is allowed. The
// choice string lists those that were not answered 0 ("12:1,40:2"): it does not depend on bounds,
// mode or what was learned, and replays an execution exactly. Before a failure is shown the string
// is shortened by leaving out answers it does not need.
#include "engine.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_CHANGES = 16 };

struct answer {
    uint32_t decision;
    uint32_t answer;
};

static struct trail {
    uint8_t n, chosen;
} trail[MAX_CHOICES];
static int trail_length, trail_at;

// The answers other than 0 of this execution, and those to be replayed.
static struct answer answers[MAX_CHOICES], script[MAX_CHOICES];
static int answer_count, script_length, script_at;

static uint64_t random_state;
static uint32_t stale_chance; // of 8
static uint32_t points, points_before, changes[MAX_CHANGES];

double eng_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// ---- Answers ------------------------------------------------------------------------------------

static int dfs_answer(int n)
{
    if (trail_at == trail_length) {
        if (trail_length == MAX_CHOICES)
            model_fail("engine: more than %d choices in one execution", MAX_CHOICES);
        trail[trail_length++] = (struct trail){(uint8_t)n, 0};
    }
    struct trail *t = &trail[trail_at++];
    if (t->n != n)
        model_fail("the model is not deterministic: a choice among %d had %d answers before (state "
                   "that setup does not reset?)",
                   n, t->n);
    return t->chosen;
}

static bool next_trail(void)
{
    while (trail_length > 0 && trail[trail_length - 1].chosen + 1 == trail[trail_length - 1].n)
        trail_length--;
    if (trail_length == 0)
        return false;
    trail[trail_length - 1].chosen++;
    return true;
}

static int script_answer(uint32_t decision, int n)
{
    while (script_at < script_length && script[script_at].decision < decision)
        script_at++;
    if (script_at == script_length || script[script_at].decision != decision)
        return 0;
    return (int)script[script_at].answer < n ? (int)script[script_at].answer : 0;
}

static uint32_t random_below(uint32_t n)
{
    random_state += 0x9E3779B97F4A7C15ull;
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return (uint32_t)(((z >> 32) * n) >> 32);
}

static int random_answer(enum choice_kind kind, int n)
{
    switch (kind) {
    case CHOOSE_STORE: return random_below(8) < stale_chance ? (int)random_below((uint32_t)n) : 0;
    case CHOOSE_WEAK:
    case CHOOSE_SPURIOUS:
    case CHOOSE_PAUSE: return random_below(8) == 0;
    default: return (int)random_below((uint32_t)n);
    }
}

static int pct_answer(enum choice_kind kind, int n)
{
    if (kind != CHOOSE_THREAD)
        return random_answer(kind, n);
    points++;
    for (int i = 0; i < E.limits.depth - 1; i++)
        if (changes[i] == points)
            E.self->priority = i + 1;
    int best = 0;
    for (int i = 0; i < n; i++) {
        struct thread *t = &E.threads[E.candidates[i]];
        if (t->priority == 0)
            t->priority = MAX_CHANGES + 1 + (int)random_below(1 << 20);
        if (t->priority > E.threads[E.candidates[best]].priority)
            best = i;
    }
    return best;
}

// Whether the execution has left what all of the search's executions before it had answered.
bool eng_fresh(void)
{
    return E.mode == MODE_DFS && trail_at == trail_length;
}

int eng_choose(enum choice_kind kind, int n)
{
    uint32_t decision = E.decision++;
    int answer;
    if (n <= 1)
        answer = 0;
    else if (E.mode == MODE_DFS)
        answer = dfs_answer(n);
    else if (E.mode == MODE_REPLAY)
        answer = script_answer(decision, n);
    else
        answer = E.mode == MODE_PCT ? pct_answer(kind, n) : random_answer(kind, n);
    if (answer && answer_count < MAX_CHOICES)
        answers[answer_count++] = (struct answer){decision, (uint32_t)answer};
    if (kind >= CHOOSE_WEAK && kind != CHOOSE_PAUSE)
        eng_observe(E.self, (uint64_t)answer + 1);
    return answer;
}

int model_choose(int n)
{
    if (n < 1 || n > UINT8_MAX)
        model_fail("model_choose(%d): at most %d", n, UINT8_MAX);
    int answer = eng_choose(CHOOSE_USER, n);
    TRACE(PC(), "choose %d of %d", answer, n);
    return answer;
}

// ---- Searches -----------------------------------------------------------------------------------

static void execute(void)
{
    answer_count = trail_at = script_at = 0;
    points = 0;
    eng_execute();
}

static bool out_of_time(long executions, double deadline)
{
    return deadline > 0 && executions % 256 == 0 && eng_now() >= deadline;
}

// All executions with at most `bound` preemptions. Seconds: 0 for no limit.
struct verdict eng_dfs(int bound, long executions, double seconds)
{
    double start = eng_now(), deadline = seconds > 0 ? start + seconds : 0;
    struct verdict v = {0};
    E.mode = MODE_DFS;
    E.limits.bound = bound;
    trail_length = 0;
    eng_forget_states();
    while (v.executions < executions && !out_of_time(v.executions + 1, deadline)) {
        E.restart = false;
        execute();
        v.executions++;
        if ((v.failed = E.failed))
            break;
        v.known += E.known;
        if (E.restart) {
            trail_length = 0;
            eng_forget_states();
        } else if (!next_trail()) {
            v.complete = true;
            break;
        }
    }
    v.seconds = eng_now() - start;
    return v;
}

struct verdict eng_random(enum mode mode, uint64_t seed, long runs, double seconds)
{
    double start = eng_now(), deadline = seconds > 0 ? start + seconds : 0;
    struct verdict v = {0};
    E.mode = mode;
    points_before = 20;
    while (v.executions < runs && !out_of_time(v.executions + 1, deadline)) {
        random_state = (seed << 32) + (uint64_t)v.executions * 0xD1342543DE82EF95ull;
        stale_chance = 1u << random_below(4);
        if (mode == MODE_PCT)
            stale_chance = random_below(3) * 2;
        for (int i = 0; i < MAX_CHANGES; i++)
            changes[i] = 1 + random_below(points_before);
        execute();
        v.executions++;
        if (points > points_before)
            points_before = points;
        if ((v.failed = E.failed))
            break;
    }
    v.seconds = eng_now() - start;
    return v;
}

// ---- Replay -------------------------------------------------------------------------------------

// The choices of the last execution. The text stays good until the next call.
const char *eng_log_text(void)
{
    static char *text;
    size_t size = (size_t)answer_count * 24 + 2, used = 0;
    text = realloc(text, size);
    strcpy(text, "-");
    for (int i = 0; i < answer_count; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%u:%u", i ? "," : "",
                                 answers[i].decision, answers[i].answer);
    return text;
}

static bool replay_script(void)
{
    E.mode = MODE_REPLAY;
    execute();
    return E.failed;
}

// "-" is the execution in which every answer is 0. Returns whether it failed.
bool eng_replay(const char *choices, bool trace)
{
    script_length = 0;
    while (*choices && *choices != '-' && script_length < MAX_CHOICES) {
        char *end;
        script[script_length].decision = (uint32_t)strtoul(choices, &end, 10);
        script[script_length].answer = *end == ':' ? (uint32_t)strtoul(end + 1, &end, 10) : 0;
        script_length++;
        choices = *end == ',' ? end + 1 : end + strlen(end);
    }
    E.trace = trace;
    bool failed = replay_script();
    E.trace = false;
    return failed;
}

static bool same_failure(const char *a, const char *b)
{
    return strncmp(a, b, strcspn(a, ":.")) == 0;
}

// Leaves out answers, one at a time from the end, as long as the same kind of failure is left.
// The last execution is a failing one afterwards, as it was before.
void eng_shrink(void)
{
    static struct answer best[MAX_CHOICES];
    static char failure[sizeof E.failure];
    int length = answer_count, budget = 3000;
    memcpy(failure, E.failure, sizeof failure);
    memcpy(best, answers, sizeof *best * (size_t)length);
    for (int left_out = length - 1; left_out >= 0 && budget > 0; left_out--, budget--) {
        if (left_out >= length)
            continue;
        memcpy(script, best, sizeof *best * (size_t)left_out);
        memcpy(script + left_out, best + left_out + 1,
               sizeof *best * (size_t)(length - left_out - 1));
        script_length = length - 1;
        if (replay_script() && same_failure(failure, E.failure) && answer_count < length) {
            length = answer_count;
            memcpy(best, answers, sizeof *best * (size_t)length);
        }
    }
    memcpy(script, best, sizeof *best * (size_t)length);
    script_length = length;
    replay_script();
}
