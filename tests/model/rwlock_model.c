// SPDX-License-Identifier: BSD-2-Clause
// rwlock_model.c - the read-write lock: readers together, a writer alone, nobody is forgotten
// whatever wait is broken, and the unlock is the last touch.
//
// Each model is complete within its bounds: three preemptions and any stale reads, where nothing
// else is said. `_deep` is the same at three preemptions with no stale reads, where the other one
// has two.
#include "model.h"
#include "oasync/sync.h"
#include "stub_sched.h"

static oa_rwlock_t *lock;
static int value; // plain: written under the lock, read under it
static oai_task_t *victim;
static int reason; // plain: written before a cancel

// Bits for model_seen().
enum { TIMED_OUT, CANCELLED, REFUSED, HANDED_OVER };

// Who comes: how often, and until when (0: not interrupted).
struct user {
    int rounds;
    int64_t deadline;
    bool writes;
};

static int enter(const struct user *who)
{
    if (who->writes)
        return who->deadline ? oa_rwlock_wrlock_until(lock, who->deadline) : oa_rwlock_wrlock(lock);
    return who->deadline ? oa_rwlock_rdlock_until(lock, who->deadline) : oa_rwlock_rdlock(lock);
}

static void read_or_write(bool writes)
{
    int seen = value;
    oai_pause(); // others run while it is held
    model_assert(value == seen);
    if (writes)
        value = seen + 1;
}

static void use(void *arg)
{
    const struct user *who = arg;
    for (int i = 0; i < who->rounds; i++) {
        int err = enter(who);
        if (err == 0) {
            read_or_write(who->writes);
            model_assert(oa_rwlock_unlock(lock) == 0);
        } else if (err == -ETIMEDOUT && who->deadline) {
            model_seen(TIMED_OUT);
        } else if (err == -ECANCELED && who->deadline) {
            model_assert(reason == 1);
            model_assert(enter(who) == -ECANCELED);
            model_seen(CANCELLED);
        } else {
            model_assert(err == -ENOMEM);
            model_seen(REFUSED);
        }
    }
}

static void uses_and_cancels(void *who)
{
    use(who);
    reason = 1;
    stub_cancel(victim);
}

static void reset(void)
{
    stub_reset();
    lock = model_alloc(sizeof *lock);
    oa_rwlock_init(lock);
    model_name_bytes(lock, 8, "lock.word");
    model_name_bytes((char *)lock + 8, sizeof *lock - 8, "lock.waiters, writer");
    value = reason = 0;
}

static void free_again(void)
{
    model_assert(oa_rwlock_destroy(lock) == 0);
    model_assert(lock->oa_private[0] == 0);
}

static struct user reads = {1, 0, false}, reads_twice = {2, 0, false}, writes = {1, 0, true},
                   writes_twice = {2, 0, true}, reads_late = {1, 1, false},
                   writes_late = {1, 1, true}, reads_breakably = {1, OA_FOREVER, false},
                   writes_breakably = {1, OA_FOREVER, true};

// ---- Contention ---------------------------------------------------------------------------------

static void reader_and_writer(void)
{
    reset();
    stub_refusals = 1;
    stub_task("reads", use, &reads_twice);
    stub_task("writes", use, &writes_twice);
}

static void thread_and_task(void)
{
    reset();
    model_thread("writes", use, &writes_twice);
    stub_task("reads", use, &reads_twice);
}

static void two_writers(void)
{
    reset();
    stub_task("a", use, &writes_twice);
    model_thread("b", use, &writes_twice);
}

static void two_readers(void)
{
    reset();
    stub_task("reads", use, &reads);
    model_thread("reads too", use, &reads);
    stub_task("writes", use, &writes);
}

static void two_writers_one_reader(void)
{
    reset();
    stub_task("writes", use, &writes);
    model_thread("writes too", use, &writes);
    stub_task("reads", use, &reads);
}

MODEL(reader_and_writer, reader_and_writer, free_again, .bound = 2, .stale = 1,
      .must_see = 1 << REFUSED);
MODEL(thread_and_task, thread_and_task, free_again, .bound = 2, .stale = 1);
MODEL(thread_and_task_deep, thread_and_task, free_again, .stale = -1, .runs = -1);
MODEL(two_writers, two_writers, free_again, .bound = 2, .stale = 1);
MODEL(two_writers_deep, two_writers, free_again, .stale = -1, .runs = -1);
MODEL(two_readers, two_readers, free_again, .bound = 1, .stale = 1);
MODEL(two_writers_one_reader, two_writers_one_reader, free_again, .bound = 1, .stale = 1);

// ---- Waits that are broken ----------------------------------------------------------------------

// A writer that gives up lets the reader in whom it has kept out: another reads all the while.
static void late_writer(void)
{
    reset();
    model_assert(oa_rwlock_rdlock(lock) == 0);
    stub_task("late", use, &writes_late);
    model_thread("reads", use, &reads_twice);
}

static void read_to_the_end(void)
{
    model_assert(oa_rwlock_unlock(lock) == 0);
    free_again();
}

// The last reader leaves, perhaps while the wait of the first writer is broken: the reader behind
// that one comes in, and need not try again.
static void reads_at_once(void *unused)
{
    use(unused);
    model_assert(stub_resumed() <= 1);
}

static void leaves(void *unused)
{
    (void)unused;
    model_assert(oa_rwlock_unlock(lock) == 0);
}

static void broken_writer(void)
{
    reset();
    model_assert(oa_rwlock_rdlock(lock) == 0);
    stub_task("late", use, &writes_late);
    stub_task("reads", reads_at_once, &reads);
    model_thread("leaves", leaves, NULL);
}

static void late_writers(void)
{
    reset();
    stub_task("late", use, &writes_late);
    model_thread("writes", use, &writes_twice);
}

static void late_reader(void)
{
    reset();
    model_thread("late", use, &reads_late);
    stub_task("writes", use, &writes_twice);
}

static void cancelled_writer(void)
{
    reset();
    victim = stub_task("victim", use, &writes_breakably);
    stub_task("reads", use, &reads);
    model_thread("cancels", uses_and_cancels, &writes);
}

static void cancelled_reader(void)
{
    reset();
    victim = stub_task("victim", use, &reads_breakably);
    model_thread("cancels", uses_and_cancels, &writes);
}

// The same while another writes.
static void late_writer_of_three(void)
{
    reset();
    stub_task("writes", use, &writes_twice);
    model_thread("late", use, &writes_late);
    stub_task("reads", use, &reads);
}

// The victim is let go by an unlock, and cancelled before it tries again.
static void cancelled_between(void)
{
    reset();
    stub_task("cancels", uses_and_cancels, &writes);
    victim = stub_task("victim", use, &writes_breakably);
    stub_task("writes", use, &writes);
}

// A reader waits inside for another one, which stands behind a writer that gives up: it comes in.
static _Atomic bool has_read;

static void waits_inside(void *unused)
{
    (void)unused;
    model_assert(oa_rwlock_rdlock(lock) == 0);
    while (!atomic_load_explicit(&has_read, memory_order_relaxed))
        oai_pause();
    model_assert(oa_rwlock_unlock(lock) == 0);
}

static void lets_it_out(void *unused)
{
    (void)unused;
    model_assert(oa_rwlock_rdlock(lock) == 0);
    atomic_store_explicit(&has_read, true, memory_order_relaxed);
    model_assert(oa_rwlock_unlock(lock) == 0);
}

static void cancels_and_leaves(void *unused)
{
    reason = 1;
    stub_cancel(victim);
    leaves(unused);
}

static void late_writer_between(void)
{
    reset();
    atomic_init(&has_read, false);
    model_assert(oa_rwlock_rdlock(lock) == 0);
    victim = stub_task("victim", use, &writes_breakably);
    stub_task("inside", waits_inside, NULL);
    stub_task("late", use, &writes_late);
    stub_task("behind", lets_it_out, NULL);
    model_thread("leaves", cancels_and_leaves, NULL);
}

MODEL(late_writer_between, late_writer_between, free_again, .bound = 1, .stale = -1, .weak = -1,
      .executions = 100000, .must_see = 1 << TIMED_OUT);
MODEL(late_writer, late_writer, read_to_the_end, .bound = 2, .stale = 1,
      .must_see = 1 << TIMED_OUT);
MODEL(broken_writer, broken_writer, free_again, .bound = 1, .stale = -1,
      .must_see = 1 << TIMED_OUT);
MODEL(late_writers, late_writers, free_again, .bound = 2, .stale = -1, .must_see = 1 << TIMED_OUT);
MODEL(late_reader, late_reader, free_again, .bound = 2, .stale = 1, .must_see = 1 << TIMED_OUT);
MODEL(cancelled_writer, cancelled_writer, free_again, .bound = 1, .stale = -1,
      .must_see = 1 << CANCELLED);
MODEL(late_writer_of_three, late_writer_of_three, free_again, .bound = 1, .stale = -1,
      .must_see = 1 << TIMED_OUT);
MODEL(cancelled_between, cancelled_between, free_again, .bound = 2, .stale = -1,
      .must_see = 1 << CANCELLED);
MODEL(cancelled_reader, cancelled_reader, free_again, .bound = 2, .stale = 1,
      .must_see = 1 << CANCELLED);

// ---- Handing over -------------------------------------------------------------------------------

#ifdef OAI_BARGES
enum { BARGES = OAI_BARGES };
#else
enum { BARGES = 4 }; // as in barge.h
#endif

// Is beaten by the newcomer so often and then handed the lock, and is the writer then.
static void beaten(void *unused)
{
    (void)unused;
    model_assert(oa_rwlock_wrlock(lock) == 0);
    model_assert(stub_resumed() <= BARGES + 1);
    if (stub_resumed() == BARGES + 1)
        model_seen(HANDED_OVER);
    model_assert(oa_rwlock_wrlock(lock) == -EDEADLK);
    value++;
    model_assert(oa_rwlock_unlock(lock) == 0);
}

// The same for a reader.
static void beaten_reader(void *unused)
{
    (void)unused;
    model_assert(oa_rwlock_rdlock(lock) == 0);
    model_assert(stub_resumed() <= BARGES + 1);
    if (stub_resumed() == BARGES + 1)
        model_seen(HANDED_OVER);
    read_or_write(false);
    model_assert(oa_rwlock_unlock(lock) == 0);
}

static void newcomer(void)
{
    static struct user newcomer = {BARGES + 3, 0, true};
    reset();
    stub_task("newcomer", use, &newcomer);
    stub_task("beaten", beaten, NULL);
}

static void newcomer_beats_reader(void)
{
    static struct user newcomer = {BARGES + 3, 0, true};
    reset();
    stub_task("newcomer", use, &newcomer);
    stub_task("beaten", beaten_reader, NULL);
}

// A reader keeps the beaten one out, too.
static void newcomer_and_reader(void)
{
    static struct user newcomer = {BARGES + 3, 0, true};
    reset();
    stub_task("newcomer", use, &newcomer);
    stub_task("beaten", beaten, NULL);
    stub_task("reads", use, &reads);
}

MODEL(newcomer_and_reader, newcomer_and_reader, free_again, .bound = 1, .stale = -1, .weak = -1,
      .must_see = 1 << HANDED_OVER);
MODEL(newcomer, newcomer, free_again, .bound = 2, .stale = -1, .must_see = 1 << HANDED_OVER);
MODEL(newcomer_beats_reader, newcomer_beats_reader, free_again, .bound = 2, .stale = -1,
      .must_see = 1 << HANDED_OVER);

// ---- The last touch -----------------------------------------------------------------------------

static bool done; // plain: under the lock

static void finishes(void *unused)
{
    (void)unused;
    model_assert(oa_rwlock_wrlock(lock) == 0);
    done = true;
    model_assert(oa_rwlock_unlock(lock) == 0);
}

static void frees(void *how)
{
    bool over = false;
    while (!over) {
        model_assert(enter(how) == 0);
        over = done;
        model_assert(oa_rwlock_unlock(lock) == 0);
        if (!over)
            oai_pause();
    }
    model_free(lock);
}

static void reader_frees(void)
{
    reset();
    done = false;
    stub_task("frees", frees, &reads);
    model_thread("finishes", finishes, NULL);
}

static void writer_frees(void)
{
    reset();
    done = false;
    model_thread("frees", frees, &writes);
    stub_task("finishes", finishes, NULL);
}

MODEL(reader_frees, reader_frees, NULL, .bound = 2, .stale = 1);
MODEL(writer_frees, writer_frees, NULL, .bound = 2, .stale = 1);
