// SPDX-License-Identifier: BSD-2-Clause
// signals.c - a storm of signals: no wait returns -EINTR, none returns early; oa_now in the
// handler.
#include <signal.h>
#include <sys/time.h>

#include "support.h"

enum { ROUNDS = 30 };

static atomic_int handled;
static oa_chan_t *ping, *pong;

static void handle(int signal)
{
    (void)signal;
    CHECK(oa_now() > 0);
    atomic_fetch_add(&handled, 1);
}

static void storm(long microseconds)
{
    struct itimerval every = {{0, microseconds}, {0, microseconds}};
    CHECK_EQ(setitimer(ITIMER_REAL, &every, NULL), 0);
}

static void answer(void *arg)
{
    int item;
    (void)arg;
    while (oa_chan_recv(ping, &item) == 0)
        CHECK_EQ(oa_chan_send(pong, &item), 0);
}

static void waits(void *arg)
{
    (void)arg;
    oa_sem_t sem = OA_SEM_INIT(0);
    int item = 0;
    ping = oa_chan_make(sizeof item);
    pong = oa_chan_make(sizeof item);
    oa_task_t *task = spawn(answer, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t deadline = oa_after(3 * OA_MILLISECOND);
        CHECK_EQ(oa_sem_acquire_until(&sem, deadline), -ETIMEDOUT);
        CHECK(oa_now() >= deadline);
        deadline = oa_after(3 * OA_MILLISECOND);
        CHECK_EQ(oa_sleep_until(deadline), 0);
        CHECK(oa_now() >= deadline);
        CHECK_EQ(oa_join_until(task, SOON), -ETIMEDOUT);
        CHECK_EQ(oa_chan_send(ping, &i), 0);
        CHECK_EQ(oa_chan_recv(pong, &item), 0);
        CHECK_EQ(item, i);
    }
    CHECK_EQ(oa_chan_close(ping), 0);
    join(task);
    CHECK_EQ(oa_chan_free(ping), 0);
    CHECK_EQ(oa_chan_free(pong), 0);
}

int main(void)
{
    struct sigaction action = {.sa_handler = handle}; // no SA_RESTART
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    storm(test_under("native") || test_under("debug") ? 300 : 5000);
    everywhere(waits);
    storm(0);
    CHECK(atomic_load(&handled) > 0);
    return 0;
}
