// SPDX-License-Identifier: BSD-2-Clause
// fiber.c - what of the switch is not inlined: the sanitizers' bookkeeping.
//
// Owns:    nothing. Callers: fiber.h and the scheduler.
#include "fiber/fiber.h"

#if OAI_ASAN
// Reached from oai_fiber_start in the place of entry, so that ASan hears of the arrival before the
// first instrumented frame. `from` may not be resumed by anybody before its bounds are written,
// which is why entry is the one to publish it.
void oai_fiber_landing(void *arg, oai_entry_fn *entry, oai_context_t *from)
{
    __sanitizer_finish_switch_fiber(NULL, from ? &from->bottom : NULL, from ? &from->size : NULL);
    entry(arg);
    __builtin_trap();
}
#endif

#if OAI_TSAN
static void set_fiber(oai_context_t *ctx, void *fiber)
{
    atomic_store_explicit(&ctx->fiber, fiber, memory_order_relaxed);
}
#endif

// ASan knows the thread's bounds and tells them to whoever comes after the first switch.
void oai_context_thread(oai_context_t *ctx)
{
    ctx->ip = NULL;
#if OAI_TSAN
    set_fiber(ctx, __tsan_get_current_fiber());
#endif
}

void oai_fiber_created(oai_context_t *ctx)
{
#if OAI_TSAN
    set_fiber(ctx, __tsan_create_fiber(0));
#endif
    (void)ctx;
}

void oai_fiber_destroyed(oai_context_t *ctx)
{
#if OAI_TSAN
    __tsan_destroy_fiber(atomic_load_explicit(&ctx->fiber, memory_order_relaxed));
    set_fiber(ctx, NULL);
#endif
    (void)ctx;
}
