// SPDX-License-Identifier: BSD-2-Clause
// extra.c - what few tasks need: a copied argument, a drop, a name, the functions of a chain.
//
// Owns:    the block of memory in which that stands, behind the record of the task's gates.
// Callers: the maker of a task, and whoever looks at one.
#include <string.h>

#include "sched/internal.h"

// The chain whose spec this is; NULL: it is that of a task with one function.
static const oai_chain_spec_t *chain_of(const oa_spec_t *spec)
{
    return spec->fn == oai_chain_run ? oai_container(spec, const oai_chain_spec_t, spec) : NULL;
}

// Copies the functions of a chain, and a NULL behind them.
static oa_fn **copy_chain(const oai_chain_spec_t *chain, void *to)
{
    oa_fn **fns = to;
    memcpy(fns, chain->fns, chain->count * sizeof *fns);
    fns[chain->count] = NULL;
    return fns;
}

// Where an extra begins that stands behind so many bytes.
#define EXTRA_BEHIND(bytes) (((bytes) + _Alignof(oai_extra_t) - 1) & ~(_Alignof(oai_extra_t) - 1))

// The bytes of a copied argument, so that the functions of a chain can stand behind it.
static size_t copy_size(const oa_spec_t *spec)
{
    return (spec->copy + sizeof(oa_fn *) - 1) / sizeof(oa_fn *) * sizeof(oa_fn *);
}

static void fill_extra(oai_task_t *task, oai_extra_t *extra, const oa_spec_t *spec)
{
    extra->drop = spec->drop;
    memset(extra->name, 0, sizeof extra->name);
    if (spec->name)
        strncpy(extra->name, spec->name, sizeof extra->name - 1);
    if (spec->copy) {
        memcpy(extra->copy, spec->arg, spec->copy);
        task->arg = extra->copy;
    }
    const oai_chain_spec_t *chain = chain_of(spec);
    if (chain)
        extra->chain = copy_chain(chain, extra->copy + copy_size(spec));
}

oai_extra_t *oai_extra_of(const oai_task_t *task, uint32_t flags)
{
    if (OAI_LIKELY(!(flags & OAI_TASK_GATED)))
        return task->extra;
    size_t gates = oai_gates_size_of(task->gates);
    return (oai_extra_t *)(void *)((char *)task->gates + EXTRA_BEHIND(gates));
}

void oai_chain_run(void *arg)
{
    const oai_task_t *task = oai_current();
    // Relaxed: constant bits.
    uint32_t flags = atomic_load_explicit(&task->flags, memory_order_relaxed);
    for (oa_fn **fn = oai_extra_of(task, flags)->chain; *fn; fn++)
        (*fn)(arg);
}

bool oai_extra_make(oai_task_t *task, const oa_spec_t *spec, uint32_t *flags)
{
    size_t gates = oai_gates_any(spec) ? oai_gates_size(spec) : 0;
    const oai_chain_spec_t *chain = chain_of(spec);
    bool extra = spec->copy || spec->drop || spec->name;
    if (spec->copy && spec->copy <= sizeof task->bytes && !spec->drop && !spec->name && !gates) {
        memcpy(task->bytes, spec->arg, spec->copy);
        task->arg = task->bytes;
        *flags |= OAI_TASK_INLINE;
        return true;
    }
    if (!extra && !gates)
        return true;
    if (spec->copy > SIZE_MAX / 2)
        return false;
    size_t size = gates;
    if (extra)
        size = EXTRA_BEHIND(gates) + sizeof(oai_extra_t) + copy_size(spec);
    if (chain)
        size += (chain->count + 1) * sizeof(oa_fn *);
    task->extra = oai_os.alloc(size);
    if (!task->extra)
        return false;
    if (gates) {
        *flags |= OAI_TASK_GATED | OAI_TASK_HELD;
        oai_gates_init(task, spec);
    }
    if (extra) {
        *flags |= OAI_TASK_EXTRA;
        fill_extra(task, oai_extra_of(task, *flags), spec);
    }
    return true;
}
