// SPDX-License-Identifier: BSD-2-Clause
// use.cpp - every initialiser, and the structs in place of the option macros, in C++.
#include <oasync.h>

static void work(void *arg)
{
    oa_mutex_t mutex = OA_MUTEX_INIT;
    oa_sem_t sem = OA_SEM_INIT(1);
    oa_group_t group = OA_GROUP_INIT;
    oa_stats_t stats = OA_STATS_INIT;
    oa_spec_t spec = OA_SPEC_INIT;
    spec.fn = work;
    spec.arg = arg;
    spec.group = &group;
    spec.delay = 5 * OA_SECOND;
    oa_chan_config_t config = OA_CHAN_INIT;
    config.elem_size = sizeof(int);
    config.capacity = OA_UNBOUNDED;
    oa_chan_t *ch = oa_chan_make_config(&config);
    const int sent = 1;
    int received = 0;
    oa_case_t cases[] = {OA_SEND(ch, &sent), OA_RECV(ch, &received), OA_RECV(nullptr, nullptr)};
    if (oa_select(cases, 3) == 0 && cases[0].result == 0)
        oa_select_until(cases, 3, oa_after(OA_MINUTE));
    oa_go_spec(&spec);
    oa_mutex_lock_until(&mutex, OA_FOREVER);
    oa_sem_acquire_until(&sem, oa_after(OA_MINUTE));
    oa_stats(nullptr, &stats);
    oa_group_wait(&group);
    oa_chan_free(ch);
}

int main()
{
    oa_config_t config = OA_CONFIG_INIT;
    config.fn = work;
    oa_coord_t *coord = nullptr;
    return oa_run_config(&config) || oa_start_config(&coord, &config) ||
           oa_shutdown(coord, OA_CANCEL) || oa_wait(coord);
}
