// SPDX-License-Identifier: BSD-2-Clause
// stub_gates.c - gate.c in models whose tasks have no gates.
#include "model.h"
#include "sched/internal.h"

size_t oai_gates_size(const oa_spec_t *spec)
{
    (void)spec;
    return 0;
}

size_t oai_gates_size_of(const oai_wait_t *record)
{
    (void)record;
    model_assert(false);
    return 0;
}

bool oai_gates_valid(const oa_spec_t *spec)
{
    (void)spec;
    return true;
}

bool oai_gates_tell(const oa_spec_t *spec)
{
    (void)spec;
    return true;
}

void oai_gates_init(oai_task_t *task, const oa_spec_t *spec)
{
    (void)task;
    (void)spec;
    model_assert(false);
}

int oai_gates_pass(oai_task_t *task, bool cancelled)
{
    (void)task;
    (void)cancelled;
    model_assert(false);
    return 0;
}

void oai_gates_leave(oai_task_t *task)
{
    (void)task;
    model_assert(false);
}
