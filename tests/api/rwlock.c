// SPDX-License-Identifier: BSD-2-Clause
// rwlock.c - the read-write lock among tasks and plain threads: readers together, a writer alone,
// neither starves; errors, deadlines, cancels, the last touch.
// ctest: simulate
#include "support.h"

static oa_rwlock_t lock;
static oa_sem_t ready, gate;
static atomic_int readers;
static int writes; // under the lock
static bool writing;

static void reset(void)
{
    oa_rwlock_init(&lock);
    oa_sem_init(&ready, 0);
    oa_sem_init(&gate, 0);
    atomic_store(&readers, 0);
    writes = 0;
    writing = false;
}

static void errors(void *arg)
{
    (void)arg;
    oa_rwlock_t own = OA_RWLOCK_INIT;
    CHECK_EQ(oa_rwlock_rdlock(NULL), -EINVAL);
    CHECK_EQ(oa_rwlock_wrlock(NULL), -EINVAL);
    CHECK_EQ(oa_rwlock_rdlock_until(NULL, LATE), -EINVAL);
    CHECK_EQ(oa_rwlock_wrlock_until(NULL, LATE), -EINVAL);
    CHECK_EQ(oa_rwlock_tryrdlock(NULL), -EINVAL);
    CHECK_EQ(oa_rwlock_trywrlock(NULL), -EINVAL);
    CHECK_EQ(oa_rwlock_unlock(NULL), -EINVAL);
    CHECK_EQ(oa_rwlock_destroy(NULL), -EINVAL);
    CHECK_EQ(oa_rwlock_unlock(&own), -EPERM);
    CHECK_EQ(oa_rwlock_wrlock(&own), 0);
    CHECK_EQ(oa_rwlock_wrlock(&own), -EDEADLK);
    CHECK_EQ(oa_rwlock_rdlock(&own), -EDEADLK);
    CHECK_EQ(oa_rwlock_wrlock_until(&own, PAST), -EDEADLK);
    CHECK_EQ(oa_rwlock_rdlock_until(&own, LATE), -EDEADLK);
    CHECK_EQ(oa_rwlock_trywrlock(&own), -EBUSY);
    CHECK_EQ(oa_rwlock_tryrdlock(&own), -EBUSY);
    CHECK_EQ(oa_rwlock_destroy(&own), -EBUSY);
    CHECK_EQ(oa_rwlock_unlock(&own), 0);
    CHECK_EQ(oa_rwlock_unlock(&own), -EPERM);
    CHECK_EQ(oa_rwlock_rdlock(&own), 0);
    CHECK_EQ(oa_rwlock_tryrdlock(&own), 0);
    CHECK_EQ(oa_rwlock_trywrlock(&own), -EBUSY);
    CHECK_EQ(oa_rwlock_wrlock_until(&own, PAST), -ETIMEDOUT);
    CHECK_EQ(oa_rwlock_destroy(&own), -EBUSY);
    CHECK_EQ(oa_rwlock_unlock(&own), 0);
    CHECK_EQ(oa_rwlock_unlock(&own), 0);
    CHECK_EQ(oa_rwlock_unlock(&own), -EPERM);
    CHECK_EQ(oa_rwlock_wrlock_until(&own, PAST), 0); // free: no wait is needed
    CHECK_EQ(oa_rwlock_unlock(&own), 0);
    CHECK_EQ(oa_rwlock_rdlock_until(&own, PAST), 0);
    CHECK_EQ(oa_rwlock_unlock(&own), 0);
    CHECK_EQ(oa_rwlock_trywrlock(&own), 0);
    CHECK_EQ(oa_rwlock_unlock(&own), 0);
    CHECK_EQ(oa_rwlock_destroy(&own), 0);
}

// ---- Exclusion ----------------------------------------------------------------------------------

enum { USERS = 6, ROUNDS = 300 };

static void read_it(int turn)
{
    CHECK_EQ(turn % 2 ? oa_rwlock_rdlock(&lock) : oa_rwlock_rdlock_until(&lock, LATE), 0);
    CHECK(!writing);
    int seen = writes;
    atomic_fetch_add(&readers, 1);
    if (turn % 16 == 0)
        oa_yield(); // it is held over a wait
    CHECK_EQ(writes, seen);
    atomic_fetch_sub(&readers, 1);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

static void write_it(int turn)
{
    switch (turn % 3) {
    case 0: UNTIL(oa_rwlock_trywrlock(&lock) == 0); break;
    case 1: CHECK_EQ(oa_rwlock_wrlock_until(&lock, LATE), 0); break;
    default: CHECK_EQ(oa_rwlock_wrlock(&lock), 0);
    }
    CHECK(!writing && atomic_load(&readers) == 0);
    writing = true;
    if (turn % 16 == 0)
        oa_yield();
    CHECK_EQ(atomic_load(&readers), 0);
    writing = false;
    writes++;
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

static void use(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        read_it(i);
        if (i % 4 == 0)
            write_it(i / 4);
    }
}

static void excludes(void *arg)
{
    (void)arg;
    struct thread threads[2];
    oa_group_t group = OA_GROUP_INIT;
    reset();
    for (int i = 0; i < USERS; i++)
        CHECK_EQ(oa_go(use, NULL, .group = &group, .coord = coord, .block = i == 0), 0);
    for (int i = 0; i < 2; i++)
        thread_start(&threads[i], use, NULL);
    use(NULL);
    CHECK_EQ(oa_group_wait(&group), 0);
    for (int i = 0; i < 2; i++)
        thread_join(&threads[i]);
    CHECK_EQ(writes, (USERS + 3) * ROUNDS / 4);
    CHECK_EQ(oa_rwlock_destroy(&lock), 0);
}

// ---- Who comes in -------------------------------------------------------------------------------

static void hold_for_reading(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    CHECK_EQ(oa_sem_release(&ready), 0);
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

static void write_once(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_wrlock(&lock), 0);
    CHECK_EQ(atomic_load(&readers), 0);
    writes++;
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

// Readers are in together; while a writer waits for them no other comes in.
static void readers_together(void *arg)
{
    (void)arg;
    enum { INSIDE = 5 };
    oa_task_t *inside[INSIDE];
    reset();
    for (int i = 0; i < INSIDE; i++)
        inside[i] = spawn(hold_for_reading, NULL);
    for (int i = 0; i < INSIDE; i++)
        CHECK_EQ(oa_sem_acquire(&ready), 0);
    oa_task_t *writer = spawn(write_once, NULL);
    bool waits = false;
    while (!waits) {
        oa_yield();
        waits = oa_rwlock_tryrdlock(&lock) == -EBUSY;
        if (!waits)
            CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    }
    CHECK_EQ(oa_rwlock_rdlock_until(&lock, PAST), -ETIMEDOUT);
    int64_t soon = SOON;
    CHECK_EQ(oa_rwlock_rdlock_until(&lock, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    for (int i = 0; i < INSIDE; i++)
        CHECK_EQ(oa_sem_release(&gate), 0);
    join(writer);
    CHECK_EQ(writes, 1);
    for (int i = 0; i < INSIDE; i++)
        join(inside[i]);
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    CHECK_EQ(oa_rwlock_destroy(&lock), 0);
}

// A writer that gives up lets those in whom it has kept out.
static void writer_gives_up(void *arg)
{
    (void)arg;
    reset();
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    oa_task_t *reader = NULL;
    int64_t soon = oa_after(3 * OA_MILLISECOND);
    CHECK_EQ(
        oa_go(hold_for_reading, NULL, .task = &reader, .coord = coord, .delay = OA_MILLISECOND), 0);
    // The caller holds it for reading itself: this can only time out.
    CHECK_EQ(oa_rwlock_wrlock_until(&lock, soon), -ETIMEDOUT);
    CHECK(oa_now() >= soon);
    CHECK_EQ(oa_sem_acquire(&ready), 0); // it is in, with the caller
    CHECK_EQ(oa_sem_release(&gate), 0);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    join(reader);
    CHECK_EQ(oa_rwlock_destroy(&lock), 0);
}

static atomic_bool coming;

static void write_cancelled(void *arg)
{
    (void)arg;
    atomic_store(&coming, true);
    CHECK_EQ(oa_rwlock_wrlock_until(&lock, OA_FOREVER), -ECANCELED);
    CHECK_EQ(oa_rwlock_rdlock_until(&lock, OA_FOREVER), -ECANCELED); // even where no wait is needed
    CHECK_EQ(oa_rwlock_tryrdlock(&lock), 0);                         // never waits: works as ever
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    CHECK_EQ(oa_sem_release(&ready), 0);
    CHECK_EQ(oa_rwlock_wrlock(&lock), 0); // not interrupted
    writes++;
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

static void cancelled(void *arg)
{
    (void)arg;
    reset();
    atomic_store(&coming, false);
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    oa_task_t *task = spawn(write_cancelled, NULL);
    UNTIL(atomic_load(&coming));
    for (int i = 0; i < 5; i++)
        oa_yield();
    CHECK_EQ(oa_cancel(task), 0);
    CHECK_EQ(oa_sem_acquire(&ready), 0);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    join(task);
    CHECK_EQ(writes, 1);
    CHECK_EQ(oa_rwlock_destroy(&lock), 0);
}

static atomic_bool busy, go_on;

static void keep_worker_busy(void *arg)
{
    (void)arg;
    atomic_store(&busy, true);
    while (!atomic_load(&go_on))
        ;
}

static oa_task_t *keep_busy(void)
{
    atomic_store(&busy, false);
    atomic_store(&go_on, false);
    oa_task_t *keeper = spawn(keep_worker_busy, NULL);
    UNTIL(atomic_load(&busy));
    return keeper;
}

static void no_longer_busy(oa_task_t *keeper)
{
    atomic_store(&go_on, true);
    join(keeper);
}

static void write_broken(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_wrlock_until(&lock, OA_FOREVER), -ECANCELED);
}

static void read_once(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

// The last reader leaves when the wait of the first writer has been broken, and that has not yet
// had its turn: the reader behind it is let go.
static void broken_writer(void)
{
    reset();
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1), 0);
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    oa_task_t *writer = spawn(write_broken, NULL);
    UNTIL(parks() == 1);
    oa_task_t *reader = spawn(read_once, NULL);
    UNTIL(parks() == 2);
    oa_task_t *keeper = keep_busy();
    CHECK_EQ(oa_cancel(writer), 0);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    CHECK_EQ(oa_rwlock_tryrdlock(&lock), 0); // nobody stands in line any more
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    no_longer_busy(keeper);
    join(writer);
    join(reader);
    CHECK_EQ(oa_rwlock_destroy(&lock), 0);
    CHECK_EQ(oa_wait(coord), 0);
    coord = NULL;
}

// ---- Who was let go and gives up ----------------------------------------------------------------

static int64_t late;

static void write_late(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_wrlock_until(&lock, late), -ETIMEDOUT);
}

static void read_until_told(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    CHECK_EQ(oa_sem_acquire(&gate), 0);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

static void read_and_tell(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    CHECK_EQ(oa_sem_release(&ready), 0);
}

// A writer leaves, and as it let readers go last time it lets go in order now: a reader, which was
// let go before and beaten, and a writer. The reader comes in, the writer finds that it is too
// late, and a reader that stands behind that one comes in while the first still reads.
static void late_writer(void)
{
    reset();
    CHECK_EQ(oa_start(&coord, nothing, .max_workers = 1), 0);
    CHECK_EQ(oa_rwlock_wrlock(&lock), 0);
    oa_task_t *reader = spawn(read_until_told, NULL);
    UNTIL(parks() == 1);
    late = oa_after(300 * OA_MILLISECOND);
    oa_task_t *writer = spawn(write_late, NULL);
    UNTIL(parks() == 2 || oa_now() > late);
    oa_task_t *keeper = keep_busy();
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    CHECK_EQ(oa_rwlock_wrlock(&lock), 0); // before the reader comes
    no_longer_busy(keeper);
    UNTIL(parks() == 3 || oa_now() > late);
    oa_task_t *behind = spawn(read_and_tell, NULL);
    UNTIL(parks() == 4 || oa_now() > late);
    keeper = keep_busy();
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    UNTIL(oa_now() > late);
    no_longer_busy(keeper);
    CHECK_EQ(oa_sem_acquire(&ready), 0); // the second has read
    CHECK_EQ(oa_sem_release(&gate), 0);
    join(behind);
    join(writer);
    join(reader);
    CHECK_EQ(oa_rwlock_destroy(&lock), 0);
    CHECK_EQ(oa_wait(coord), 0);
    coord = NULL;
}

static int places, place_of_reader; // in which they came in: under the lock

static void read_in_turn(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    place_of_reader = ++places;
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

static void write_in_turn(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_wrlock(&lock), 0);
    places++;
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

// A reader that waited before all writers but the one inside comes in when that leaves.
static void reader_first(void *arg)
{
    enum { WRITERS = 8 };
    oa_group_t group = OA_GROUP_INIT;
    (void)arg;
    reset();
    places = 0;
    CHECK_EQ(oa_rwlock_wrlock(&lock), 0);
    uint64_t before = parks();
    CHECK_EQ(oa_go(read_in_turn, .group = &group), 0);
    UNTIL(parks() == before + 1);
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(oa_go(write_in_turn, .group = &group), 0);
    UNTIL(parks() == before + 1 + WRITERS);
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(places, 1 + WRITERS);
    CHECK_EQ(place_of_reader, 1);
    CHECK_EQ(oa_rwlock_destroy(&lock), 0);
}

// ---- Nobody starves -----------------------------------------------------------------------------

static atomic_bool enough;

static void read_on(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
        oa_yield(); // there is always a reader inside
        CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    }
}

static void write_on(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        CHECK_EQ(oa_rwlock_wrlock(&lock), 0);
        oa_yield();
        CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    }
}

static void nobody_starves(void *arg)
{
    (void)arg;
    oa_group_t group = OA_GROUP_INIT;
    reset();
    atomic_store(&enough, false);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(oa_go(read_on, NULL, .group = &group, .coord = coord), 0);
        CHECK_EQ(oa_go(write_on, NULL, .group = &group, .coord = coord), 0);
    }
    for (int i = 0; i < 100; i++) {
        write_once(NULL);
        CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
        CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    }
    atomic_store(&enough, true);
    CHECK_EQ(oa_group_wait(&group), 0);
    CHECK_EQ(oa_rwlock_destroy(&lock), 0);
}

static void write_now(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_rwlock_wrlock(&lock), 0);
    writes++;
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
}

// A reader that does nothing but lock and unlock does not keep the worker from a writer for ever.
static void not_kept_from_it(void *arg)
{
    (void)arg;
    reset();
    CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
    oa_task_t *writer = spawn(write_now, NULL);
    oa_yield(); // it waits
    for (int seen = 0; seen == 0;) {
        CHECK_EQ(oa_rwlock_unlock(&lock), 0);
        CHECK_EQ(oa_rwlock_rdlock(&lock), 0);
        seen = writes;
    }
    CHECK_EQ(oa_rwlock_unlock(&lock), 0);
    join(writer);
    CHECK_EQ(oa_rwlock_destroy(&lock), 0);
}

// ---- The last touch -----------------------------------------------------------------------------

struct shared {
    oa_rwlock_t lock;
    bool done;
};

static void finish(void *arg)
{
    struct shared *shared = arg;
    CHECK_EQ(oa_rwlock_wrlock(&shared->lock), 0);
    shared->done = true;
    CHECK_EQ(oa_rwlock_unlock(&shared->lock), 0);
}

static void last_touch(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        struct shared *shared = calloc(1, sizeof *shared); // all-zero bytes are a free lock
        CHECK(shared != NULL);
        CHECK_EQ(oa_go(finish, shared, .coord = coord), 0);
        bool done = false;
        while (!done) {
            CHECK_EQ(i % 2 ? oa_rwlock_rdlock(&shared->lock) : oa_rwlock_wrlock(&shared->lock), 0);
            done = shared->done;
            CHECK_EQ(oa_rwlock_unlock(&shared->lock), 0);
            if (!done)
                oa_yield();
        }
        CHECK_EQ(oa_rwlock_destroy(&shared->lock), 0);
        memset(shared, 0xee, sizeof *shared);
        free(shared);
    }
}

int main(void)
{
    everywhere(errors);
    everywhere(readers_together);
    everywhere(writer_gives_up);
    everywhere(cancelled);
    if (!simulated()) { // in which no task keeps the worker to itself
        broken_writer();
        late_writer();
    }
    CHECK_EQ(oa_run(reader_first, .max_workers = 1), 0);
    for (int seed = 1; seed <= 20; seed++) // whoever of them runs first
        CHECK_EQ(oa_run(reader_first, .simulate = (uint64_t)seed), 0);
    everywhere(nobody_starves);
    CHECK_EQ(oa_run(not_kept_from_it, .max_workers = 1), 0);
    everywhere(last_touch);
    beside(excludes, 1);
    beside(excludes, 2);
    return 0;
}
