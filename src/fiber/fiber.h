// SPDX-License-Identifier: BSD-2-Clause
// fiber.h - leaving one stack and going on on another.
//
// Owns:    nothing: contexts belong to tasks and workers, stacks to whoever took them.
// Callers: the scheduler's few functions that switch. All are inlined there: a frame between user
//          code and the switch costs more than the registers saved.
// Rules:   - After oai_switch and oai_switch_enter return, the OS thread may be another: whatever
//            was read from thread-local storage before is stale.
//          - `save` must not be resumed by anybody before the code that comes next (on the other
//            stack) has begun: publish it from there.
//          - Under TSan a task's context must have been through oai_fiber_created before it is
//            entered, and a thread's context through oai_context_thread.
#ifndef OAI_FIBER_FIBER_H
#define OAI_FIBER_FIBER_H

#include "fiber/context.h"
#include "fiber/fpctl.h"
#include "fiber/sanitizer.h"
#include "fiber/stack.h"

#if defined(__x86_64__)
#include "fiber/switch_x86_64.h"
#elif defined(__aarch64__)
#include "fiber/switch_aarch64.h"
#else
#error "oasync: no switch for this architecture yet"
#endif

typedef void oai_entry_fn(void *arg);

// The first code on a fresh stack (start_*.S): calls what it is told; unwinders stop there.
extern char oai_fiber_start[] __attribute__((visibility("hidden")));

#if OAI_ASAN
// The first C function on a fresh stack in an ASan build: tells ASan, then calls entry.
void oai_fiber_landing(void *arg, oai_entry_fn *entry, oai_context_t *from);
#endif

// Makes ctx stand for the calling OS thread's own stack, so that it can be the `save` of a first
// switch and be resumed later.
void oai_context_thread(oai_context_t *ctx);

// A task with a stack of its own begins or is over. No-ops but for TSan. After destroyed the
// context may be created again.
void oai_fiber_created(oai_context_t *ctx);
void oai_fiber_destroyed(oai_context_t *ctx);

OAI_ALWAYS_INLINE void *oai_first_code(oai_entry_fn *entry)
{
#if OAI_ASAN
    (void)entry;
    return (void *)oai_fiber_landing;
#else
    return (void *)entry;
#endif
}

// Before a switch: ASan and TSan hear where we go. save NULL: this stack is left for good. After
// this, TSan takes what the leaving side reads for the other's doing: so nothing is read any more.
OAI_ALWAYS_INLINE void oai_departing(oai_context_t *save, oai_context_t *to,
                                     const oai_stack_t *fresh)
{
#if OAI_ASAN
    const void *bottom = fresh ? fresh->low : to->bottom;
    size_t size = fresh ? (size_t)(fresh->top - fresh->low) : to->size;
    __sanitizer_start_switch_fiber(save ? &save->fake_stack : NULL, bottom, size);
#endif
#if OAI_TSAN
    // 1: no synchronisation by the switch itself.
    __tsan_switch_to_fiber(atomic_load_explicit(&to->fiber, memory_order_relaxed), OAI_TSAN_SWITCH);
#endif
    (void)save, (void)to, (void)fresh;
}

// After a switch: `from`, if it is still there, learns the bounds of the stack it stands on.
OAI_ALWAYS_INLINE void oai_arrived(oai_context_t *self, oai_context_t *from)
{
#if OAI_ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, from ? &from->bottom : NULL,
                                    from ? &from->size : NULL);
#endif
    (void)self, (void)from;
}

// Saves here and resumes `to`. Returns when somebody resumes `save`, maybe on another OS thread.
OAI_ALWAYS_INLINE void oai_switch(oai_context_t *save, oai_context_t *to)
{
    oai_departing(save, to, NULL);
    oai_context_t *from = oai_raw_switch(save, to);
    oai_arrived(save, from);
}

// Saves here and calls entry(arg) on the fresh stack `on`; entry never returns. `to` is the context
// of what starts there (TSan's fiber of it is what it is asked for); without TSan it may be NULL.
OAI_ALWAYS_INLINE void oai_switch_enter(oai_context_t *save, oai_context_t *to,
                                        const oai_stack_t *on, oai_entry_fn *entry, void *arg)
{
    char *top = on->top;
    oai_departing(save, to, on);
    oai_context_t *from =
        oai_raw_switch_enter(save, top, oai_first_code(entry), (void *)entry, arg);
    oai_arrived(save, from);
}

// Leaves the present stack for good and resumes `to`. From the moment `to` goes on, the stack may
// be used again, by this thread or, if `to` says so, by others.
OAI_ALWAYS_INLINE _Noreturn void oai_jump(oai_context_t *to)
{
    oai_departing(NULL, to, NULL);
    oai_raw_jump(to);
}

// Leaves the present stack for good and calls entry(arg) on a fresh one (not the present one).
OAI_ALWAYS_INLINE _Noreturn void oai_enter(oai_context_t *to, const oai_stack_t *on,
                                           oai_entry_fn *entry, void *arg)
{
    char *top = on->top;
    oai_departing(NULL, to, on);
    oai_raw_enter(top, oai_first_code(entry), (void *)entry, arg);
}

#endif
