// SPDX-License-Identifier: BSD-2-Clause
// stub_consumer.c - for models of channels and tasks in which there is no consumer.
#include "model.h"
#include "sched/internal.h"
#include "sync/channel.h"

oai_wait_t *oai_consumer_offer(oai_consumer_t *consumer, const void *elem)
{
    (void)consumer, (void)elem;
    model_assert(false);
    return NULL;
}

oai_dormant_t *oai_consumer_dismiss(oai_consumer_t *consumer)
{
    (void)consumer;
    model_assert(false);
    return NULL;
}

bool oai_consumer_cancel(oai_dormant_t *dormant)
{
    (void)dormant;
    model_assert(false);
    return false;
}

void oai_consumer_end(oai_dormant_t *dormant)
{
    (void)dormant;
    model_assert(false);
}

void oai_dormant_discard(oai_dormant_t *dormant)
{
    (void)dormant;
    model_assert(false);
}

void oai_dormant_returned(oai_task_t *task, oai_worker_t *worker)
{
    (void)task, (void)worker;
    model_assert(false);
}

void oai_dormants_cancel(oa_coord_t *coord)
{
    (void)coord;
}
