// SPDX-License-Identifier: BSD-2-Clause
// mutex_model.c - the mutex: one at a time, nobody is forgotten, and the unlock is the last touch.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said. `_deep` is the same at three preemptions with no stale reads, where the other one
// has two.
#include "model.h"
#include "oasync/sync.h"
#include "stub_sched.h"

static oa_mutex_t *mutex;
static int inside, entered; // plain: guarded by the mutex
static oai_task_t *victim;
static int reason; // plain: written before a cancel

// Bits for model_seen().
enum { TIMED_OUT, CANCELLED, REFUSED, HANDED_OVER };

// Who contends: how often, and until when (0: oa_mutex_lock).
struct contender {
    int rounds;
    int64_t deadline;
    bool pauses; // lets others run while it holds the mutex
};

static void critical(bool pauses)
{
    model_assert(inside == 0);
    inside = 1;
    entered++;
    if (pauses)
        oai_pause();
    model_assert(inside == 1);
    inside = 0;
}

static int lock(const struct contender *who)
{
    return who->deadline ? oa_mutex_lock_until(mutex, who->deadline) : oa_mutex_lock(mutex);
}

static void contend(void *arg)
{
    const struct contender *who = arg;
    for (int i = 0; i < who->rounds; i++) {
        int err = lock(who);
        if (err == 0) {
            critical(who->pauses);
            model_assert(oa_mutex_unlock(mutex) == 0);
        } else if (err == -ETIMEDOUT && who->deadline) {
            model_seen(TIMED_OUT);
        } else if (err == -ECANCELED && who->deadline) {
            model_assert(reason == 1);
            model_assert(lock(who) == -ECANCELED); // from now on each, even of a free one
            model_seen(CANCELLED);
        } else {
            model_assert(err == -ENOMEM);
            model_seen(REFUSED);
        }
    }
}

static void contends_and_cancels(void *who)
{
    contend(who);
    reason = 1;
    stub_cancel(victim);
}

static void reset(void)
{
    stub_reset();
    mutex = model_alloc(sizeof *mutex);
    oa_mutex_init(mutex);
    model_name_bytes(mutex, 8, "mutex.word");
    model_name_bytes((char *)mutex + 8, sizeof *mutex - 8, "mutex.waiters, lock");
    inside = entered = reason = 0;
}

static void free_again(void)
{
    model_assert(inside == 0);
    model_assert(oa_mutex_destroy(mutex) == 0);
    model_assert(mutex->oa_private[0] == 0);
}

static struct contender once = {.rounds = 1}, twice = {.rounds = 2},
                        until = {.rounds = 1, .deadline = 1},
                        breakable = {.rounds = 1, .deadline = OA_FOREVER};

// ---- Contention ---------------------------------------------------------------------------------

static void two_tasks(void)
{
    reset();
    stub_refusals = 1;
    stub_task("a", contend, &twice);
    stub_task("b", contend, &twice);
}

static void task_and_thread(void)
{
    reset();
    stub_task("task", contend, &twice);
    model_thread("thread", contend, &twice);
}

static void three(void)
{
    reset();
    stub_task("a", contend, &once);
    stub_task("b", contend, &once);
    model_thread("thread", contend, &once);
}

static void all_entered(void)
{
    free_again();
    model_assert(entered == 3);
}

MODEL(two_tasks, two_tasks, free_again, .must_see = 1 << REFUSED);
MODEL(task_and_thread, task_and_thread, free_again);
MODEL(three, three, all_entered, .bound = 2);
MODEL(three_deep, three, all_entered, .stale = -1, .runs = -1);

// ---- Waits that are broken ----------------------------------------------------------------------

static void deadline(void)
{
    reset();
    stub_task("a", contend, &once);
    stub_task("late", contend, &until);
    stub_task("b", contend, &once);
}

static void thread_deadline(void)
{
    reset();
    stub_task("a", contend, &twice);
    model_thread("late", contend, &until);
}

static void cancel(void)
{
    reset();
    stub_task("a", contends_and_cancels, &once);
    victim = stub_task("victim", contend, &breakable);
    stub_task("b", contend, &once);
}

MODEL(deadline, deadline, free_again, .bound = 2, .stale = 1, .must_see = 1 << TIMED_OUT);
MODEL(deadline_deep, deadline, free_again, .stale = -1, .runs = -1);
MODEL(thread_deadline, thread_deadline, free_again, .must_see = 1 << TIMED_OUT);
MODEL(cancel, cancel, free_again, .bound = 2, .must_see = 1 << CANCELLED);
MODEL(cancel_deep, cancel, free_again, .stale = -1, .runs = -1);

// ---- Barging and handing over -------------------------------------------------------------------

#ifdef OAI_BARGES
enum { BARGES = OAI_BARGES };
#else
enum { BARGES = 4 }; // as in barge.h
#endif

// Is beaten by the newcomer so often and then gets the mutex handed over.
static void waiter(void *who)
{
    contend(who);
    model_assert(stub_resumed() <= BARGES + 1);
    if (stub_resumed() == BARGES + 1)
        model_seen(HANDED_OVER);
}

static struct contender pushes = {.rounds = BARGES + 1, .pauses = true};

static void newcomer(void)
{
    static struct contender newcomer = {.rounds = BARGES + 3, .pauses = true};
    reset();
    stub_task("newcomer", contend, &newcomer);
    stub_task("waiter", waiter, &once);
}

static void newcomer_of_three(void)
{
    reset();
    stub_task("newcomer", contend, &pushes);
    stub_task("waiter", contend, &once);
    stub_task("second", contend, &once);
}

// Known: a newcomer that finds the mutex held and gets it when it looks again, under the lock,
// takes back the count of those that were let through before.
static void overtaken(void)
{
    reset();
    stub_task("newcomer", contend, &pushes);
    stub_task("waiter", waiter, &once);
    stub_task("second", contend, &once);
}

MODEL(newcomer, newcomer, free_again, .bound = 2, .must_see = 1 << HANDED_OVER);
MODEL(newcomer_of_three, newcomer_of_three, free_again, .bound = 1, .stale = -1, .weak = -1);
MODEL(overtaken, overtaken, free_again, .bound = 2, .stale = -1, .weak = -1, .executions = 400000);

// ---- The last touch -----------------------------------------------------------------------------

static int heir_thread;

static void unlocks(void *unused)
{
    (void)unused;
    model_assert(oa_mutex_lock(mutex) == 0);
    model_unblock(heir_thread);
    critical(false);
    model_assert(oa_mutex_unlock(mutex) == 0);
}

static void heir(void *arg)
{
    const struct contender *who = arg;
    model_block();
    if (lock(who) != 0)
        model_assert(oa_mutex_lock(mutex) == 0);
    critical(false);
    model_assert(oa_mutex_unlock(mutex) == 0);
    model_free(mutex);
}

static void frees(struct contender *who, bool task)
{
    reset();
    stub_task("unlocks", unlocks, NULL);
    if (task) {
        stub_task("heir", heir, who);
        heir_thread = 2;
    } else {
        heir_thread = model_thread("heir", heir, who);
    }
}

static void task_frees(void)
{
    frees(&once, true);
}

static void late_task_frees(void)
{
    frees(&until, true);
}

static void thread_frees(void)
{
    frees(&until, false);
}

MODEL(task_frees, task_frees, NULL);
MODEL(late_task_frees, late_task_frees, NULL, .executions = 1000000);
MODEL(thread_frees, thread_frees, NULL);

// Who got it handed over goes on without another look at the mutex.
static void waiter_frees(void *unused)
{
    (void)unused;
    model_assert(oa_mutex_lock(mutex) == 0);
    critical(false);
    bool last = entered == BARGES + 2;
    model_assert(oa_mutex_unlock(mutex) == 0);
    if (stub_resumed() == BARGES + 1)
        model_seen(HANDED_OVER);
    if (last)
        model_free(mutex);
}

static void handed_over_frees(void)
{
    reset();
    stub_task("newcomer", contend, &pushes);
    stub_task("waiter", waiter_frees, NULL);
}

MODEL(handed_over_frees, handed_over_frees, NULL, .bound = 2, .must_see = 1 << HANDED_OVER);

// Whoever finds that nobody holds the mutex sees what was done under it, and may free it.
static void destroys(void *unused)
{
    (void)unused;
    model_block();
    while (oa_mutex_destroy(mutex) != 0)
        oai_pause();
    model_assert(inside == 0 && entered == 1);
    model_free(mutex);
}

static void destroyed(void)
{
    reset();
    stub_task("unlocks", unlocks, NULL);
    heir_thread = model_thread("destroys", destroys, NULL);
}

MODEL(destroyed, destroyed, NULL);
