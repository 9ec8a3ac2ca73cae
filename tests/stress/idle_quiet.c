// SPDX-License-Identifier: BSD-2-Clause
// idle_quiet.c - a thousand parked tasks and no timer: no thread of the runtime is scheduled at
// all. An argument gives the seconds that are watched.
// ctest: not=valgrind,qemu
#include "stress/support.h"

enum { PARKED = 1000 };

static oa_sem_t sem;

static void parked(void *arg)
{
    (void)arg;
    CHECK_EQ(oa_sem_acquire(&sem), 0);
}

static void start(void *arg)
{
    (void)arg;
    for (int i = 0; i < PARKED; i++)
        CHECK_EQ(oa_go(parked), 0);
}

// Context switches so far of all threads but the calling one.
static long long switches(void)
{
    DIR *dir = opendir("/proc/self/task");
    long long sum = 0;
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[300];
        if (atoi(entry->d_name) == 0 || atoi(entry->d_name) == getpid())
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        long long forced = status_of(path, "nonvoluntary_ctxt_switches");
        CHECK(forced >= 0);
        sum += forced + status_of(path, "voluntary_ctxt_switches");
    }
    closedir(dir);
    return sum;
}

static void watch(int workers, int64_t time)
{
    oa_coord_t *coord;
    oa_sem_init(&sem, 0);
    CHECK_EQ(oa_start(&coord, start, .max_workers = workers), 0);
    oa_stats_t stats = OA_STATS_INIT;
    do {
        CHECK_EQ(oa_sleep(OA_MILLISECOND), 0);
        CHECK_EQ(oa_stats(coord, &stats), 0);
    } while (stats.parks < PARKED);
    // They doze a few times before they sleep; the machine may be busy.
    long long before = switches(), now;
    for (int tries = 0;; tries++) {
        CHECK_EQ(oa_sleep(50 * OA_MILLISECOND), 0);
        if ((now = switches()) == before)
            break;
        CHECK(tries < 100);
        before = now;
    }
    CHECK_EQ(oa_sleep(time), 0);
    CHECK_EQ(switches(), before);
    for (int i = 0; i < PARKED; i++)
        CHECK_EQ(oa_sem_release(&sem), 0);
    CHECK_EQ(oa_wait(coord), 0);
}

int main(int argc, char **argv)
{
    if (!plain_build()) // their own threads run now and then
        test_skip("figures of a plain build");
    int64_t time = argc > 1 ? atoll(argv[1]) * OA_SECOND : OA_SECOND / 2;
    for (int workers = 1; workers <= 3; workers++)
        watch(workers, time);
    return 0;
}
