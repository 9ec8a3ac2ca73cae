// SPDX-License-Identifier: BSD-2-Clause
// four_mixed.c - one mutex, one condition variable, one semaphore and one channel, used at once by
// tasks, blocking tasks and plain threads: exact counts, nothing lost or doubled, never more inside
// than may be.
//
// All go the same round: the counter, the buffer, a permit, the channel; once in a while they meet
// before it. Half of each kind put into the buffer and receive, the others take from it and send.
// Because all come to the buffer before they come to the channel, somebody can always go on.
// ctest: timeout=60 simulate=5
#include "stress/support.h"

enum { TASKS = 8, BLOCKING = 4, THREADS = 4, USERS = TASKS + BLOCKING + THREADS };
enum { PERMITS = 3, ROOM = 2 };

// What the condition variable is waited for.
enum event { ITEM, SPACE, MEETING, EVENTS };

static oa_coord_t *coord;
static oa_mutex_t mutex;
static oa_cond_t changed;
static oa_sem_t sem;
static oa_chan_t *channel;

// Under the mutex, and no atomics.
static bool inside;
static int64_t counter;
static int64_t met; // how often a user has come to a meeting
static struct {
    uint32_t items[ROOM];
    int first, count;
} buffer;
static int waiting[EVENTS];  // for each
static unsigned char *taken; // of each item: how often

static atomic_int permits_out;
static uint32_t *written; // of each item: what its sender has written before it sent it; no atomics
static atomic_uchar *received;

static uint32_t each; // rounds of a user
static uint64_t seed;

// Whether a wait shall have a deadline, and which: one that has passed, may pass, or does not pass.
static bool with_deadline(uint64_t *random, int64_t *deadline)
{
    uint64_t n = random_below(random, 8);
    *deadline = oa_after(n < 2 ? (int64_t)n * 20 * OA_MICROSECOND : 60 * OA_MINUTE);
    return n < 4;
}

// ---- The mutex ----------------------------------------------------------------------------------

static int try_enter(uint64_t *random)
{
    int64_t deadline;
    if (random_below(random, 8) == 0)
        return oa_mutex_trylock(&mutex);
    return with_deadline(random, &deadline) ? oa_mutex_lock_until(&mutex, deadline)
                                            : oa_mutex_lock(&mutex);
}

static void enter(uint64_t *random)
{
    int err;
    while ((err = try_enter(random)) != 0)
        CHECK(err == -EBUSY || err == -ETIMEDOUT);
    CHECK(!inside);
    inside = true;
}

static void leave(void)
{
    CHECK(inside);
    inside = false;
    CHECK_EQ(oa_mutex_unlock(&mutex), 0);
}

static void count_up(uint64_t *random)
{
    enter(random);
    counter++;
    if (random_below(random, 8) == 0)
        oa_yield();
    leave();
}

// ---- The mutex and the condition variable -------------------------------------------------------

static void wait_for(enum event event, uint64_t *random)
{
    int64_t deadline;
    waiting[event]++;
    inside = false;
    int err = with_deadline(random, &deadline) ? oa_cond_wait_until(&changed, &mutex, deadline)
                                               : oa_cond_wait(&changed, &mutex);
    CHECK(err == 0 || err == -ETIMEDOUT);
    CHECK(!inside);
    inside = true;
    waiting[event]--;
}

// Leaves the mutex and tells that one may go on, in one order or the other. If they wait for
// different things, all have to look.
static void leave_changed(uint64_t *random)
{
    bool all = (waiting[ITEM] != 0) + (waiting[SPACE] != 0) + (waiting[MEETING] != 0) > 1;
    bool left = random_below(random, 2);
    if (left)
        leave();
    CHECK_EQ(all ? oa_cond_broadcast(&changed) : oa_cond_signal(&changed), 0);
    if (!left)
        leave();
}

static void put(uint32_t item, uint64_t *random)
{
    enter(random);
    while (buffer.count == ROOM)
        wait_for(SPACE, random);
    buffer.items[(buffer.first + buffer.count++) % ROOM] = item;
    leave_changed(random);
}

static void take(uint64_t *random)
{
    enter(random);
    while (buffer.count == 0)
        wait_for(ITEM, random);
    uint32_t item = buffer.items[buffer.first];
    buffer.first = (buffer.first + 1) % ROOM;
    buffer.count--;
    CHECK_EQ(taken[item]++, 0);
    leave_changed(random);
}

// Returns when all users have come.
static void meet(uint64_t *random)
{
    enter(random);
    int64_t meeting = met++ / USERS;
    if (met % USERS == 0)
        CHECK_EQ(oa_cond_broadcast(&changed), 0);
    while (met / USERS == meeting)
        wait_for(MEETING, random);
    leave();
}

// ---- The semaphore ------------------------------------------------------------------------------

static int try_acquire(uint64_t *random)
{
    int64_t deadline;
    if (random_below(random, 8) == 0)
        return oa_sem_tryacquire(&sem);
    return with_deadline(random, &deadline) ? oa_sem_acquire_until(&sem, deadline)
                                            : oa_sem_acquire(&sem);
}

static void use_permit(uint64_t *random)
{
    int err;
    while ((err = try_acquire(random)) != 0)
        CHECK(err == -EAGAIN || err == -ETIMEDOUT);
    CHECK(atomic_fetch_add(&permits_out, 1) < PERMITS);
    switch (random_below(random, 16)) {
    case 0: CHECK_EQ(oa_sleep(OA_MICROSECOND), 0); break;
    case 1: oa_yield(); break;
    default: dawdle(random);
    }
    atomic_fetch_sub(&permits_out, 1);
    CHECK_EQ(oa_sem_release(&sem), 0);
}

// ---- The channel --------------------------------------------------------------------------------
//
// Its elements are the number alone or a word of 8 bytes, which the library has a shorter way for.

static void send(uint32_t item, uint64_t *random)
{
    uint32_t element[2] = {item, 0};
    int64_t deadline;
    int err;
    written[item] = ~item;
    do {
        err = with_deadline(random, &deadline) ? oa_chan_send_until(channel, element, deadline)
                                               : oa_chan_send(channel, element);
    } while (err == -ETIMEDOUT);
    CHECK_EQ(err, 0);
}

static void receive(uint64_t *random)
{
    uint32_t element[2] = {UINT32_MAX, 0};
    int64_t deadline;
    int err;
    do {
        err = with_deadline(random, &deadline) ? oa_chan_recv_until(channel, element, deadline)
                                               : oa_chan_recv(channel, element);
    } while (err == -ETIMEDOUT);
    CHECK_EQ(err, 0);
    CHECK(element[0] < USERS / 2 * each);
    CHECK_EQ(written[element[0]], ~element[0]);
    CHECK_EQ(atomic_fetch_add(&received[element[0]], 1), 0);
}

// ---- All together -------------------------------------------------------------------------------

static void user(void *arg)
{
    uint32_t self = (uint32_t)(uintptr_t)arg;
    uint64_t random = seed + self;
    for (uint32_t i = 0; i < each; i++) {
        uint32_t item = self / 2 * each + i;
        if (i % 32 == 0)
            meet(&random);
        count_up(&random);
        if (self % 2 == 0)
            put(item, &random);
        else
            take(&random);
        use_permit(&random);
        if (self % 2 == 0)
            receive(&random);
        else
            send(item, &random);
    }
}

static void set_up(size_t capacity, size_t elem_size)
{
    seed++;
    oa_mutex_init(&mutex);
    oa_cond_init(&changed);
    oa_sem_init(&sem, PERMITS);
    channel = oa_chan_make(elem_size, .capacity = capacity);
    CHECK(channel != NULL);
    counter = 0;
    taken = calloc(USERS / 2 * each, sizeof *taken);
    written = calloc(USERS / 2 * each, sizeof *written);
    received = calloc(USERS / 2 * each, sizeof *received);
    CHECK(taken != NULL && written != NULL && received != NULL);
}

static void tear_down(void)
{
    CHECK_EQ(counter, (int64_t)USERS * each);
    CHECK_EQ(buffer.count, 0);
    CHECK_EQ(met % USERS, 0);
    CHECK_EQ(waiting[ITEM] + waiting[SPACE] + waiting[MEETING], 0);
    for (uint32_t i = 0; i < USERS / 2 * each; i++) {
        CHECK_EQ(taken[i], 1);
        CHECK_EQ(atomic_load(&received[i]), 1);
    }
    for (int i = 0; i < PERMITS; i++)
        CHECK_EQ(oa_sem_tryacquire(&sem), 0);
    CHECK_EQ(oa_sem_tryacquire(&sem), -EAGAIN);
    CHECK_EQ(oa_mutex_destroy(&mutex), 0);
    CHECK_EQ(oa_cond_destroy(&changed), 0);
    CHECK_EQ(oa_sem_destroy(&sem), 0);
    CHECK_EQ(oa_chan_len(channel), 0);
    CHECK_EQ(oa_chan_free(channel), 0);
    free(taken);
    free(written);
    free(received);
}

static void drive(void *arg)
{
    struct thread threads[THREADS];
    uintptr_t number = 0;
    (void)arg;
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ(oa_go(user, (void *)number++, .coord = coord), 0);
    for (int i = 0; i < BLOCKING; i++)
        CHECK_EQ(oa_go(user, (void *)number++, .coord = coord, .block = true), 0);
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], user, (void *)number++);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
}

static void run(size_t capacity, size_t elem_size, int workers)
{
    set_up(capacity, elem_size);
    beside(&coord, drive, NULL, workers);
    tear_down();
}

int main(void)
{
    seed = test_seed();
    each = (uint32_t)test_scale(200);
    for (int workers = 2; workers <= 4; workers += 2)
        for (size_t capacity = 0; capacity <= 3; capacity += 3)
            for (size_t elem_size = 4; elem_size <= 8; elem_size += 4)
                run(capacity, elem_size, workers);
    return 0;
}
