// SPDX-License-Identifier: BSD-2-Clause
// tsan.c - the functions that gcc calls for every memory access under -fsanitize=thread.
//
// The models and the shipped sources are compiled with that flag and linked with these functions
// in place of the ThreadSanitizer runtime. Before main() starts a model they do what they stand
// for and nothing else. Macros here, as the names come by size and operation.
#include "engine.h"

#include <string.h>

#define SP_OF_CALLER() ((uintptr_t)__builtin_frame_address(0) + 16)

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_read_range(const void *at, size_t size);
void __tsan_write_range(void *at, size_t size);
void __tsan_vptr_update(void **at, void *value);
void __tsan_vptr_read(void **at);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);
void *oai_model_memcpy(void *to, const void *from, size_t size);
void *oai_model_memmove(void *to, const void *from, size_t size);
void *oai_model_memset(void *to, int byte, size_t size);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
    (void)pc;
    if (E.self)
        eng_enter_frame(SP_OF_CALLER());
}

void __tsan_func_exit(void)
{
    if (E.self)
        eng_leave_frame(PC());
}

// ---- Plain accesses -----------------------------------------------------------------------------

static void plain(const volatile void *at, size_t size, int kind, const void *pc)
{
    if (E.self && size)
        eng_plain((uintptr_t)at, size, kind, pc);
}

#define PLAIN(NAME, KIND, SIZE)                                                                    \
    void NAME(volatile void *at);                                                                  \
    void NAME(volatile void *at)                                                                   \
    {                                                                                              \
        plain(at, SIZE, KIND, PC());                                                               \
    }

#define PLAIN_OF_SIZE(SIZE)                                                                        \
    PLAIN(__tsan_read##SIZE, ACCESS_READ, SIZE)                                                    \
    PLAIN(__tsan_write##SIZE, ACCESS_WRITE, SIZE)                                                  \
    PLAIN(__tsan_unaligned_read##SIZE, ACCESS_READ, SIZE)                                          \
    PLAIN(__tsan_unaligned_write##SIZE, ACCESS_WRITE, SIZE)                                        \
    PLAIN(__tsan_volatile_read##SIZE, ACCESS_READ, SIZE)                                           \
    PLAIN(__tsan_volatile_write##SIZE, ACCESS_WRITE, SIZE)

PLAIN_OF_SIZE(1)
PLAIN_OF_SIZE(2)
PLAIN_OF_SIZE(4)
PLAIN_OF_SIZE(8)
PLAIN_OF_SIZE(16)

void __tsan_read_range(const void *at, size_t size)
{
    plain(at, size, ACCESS_READ, PC());
}

void __tsan_write_range(void *at, size_t size)
{
    plain(at, size, ACCESS_WRITE, PC());
}

void __tsan_vptr_update(void **at, void *value)
{
    (void)value;
    plain(at, sizeof *at, ACCESS_WRITE, PC());
}

void __tsan_vptr_read(void **at)
{
    plain(at, sizeof *at, ACCESS_READ, PC());
}

// The build renames memcpy, memmove and memset in instrumented files to these.
void *oai_model_memcpy(void *to, const void *from, size_t size)
{
    plain(from, size, ACCESS_READ, PC());
    plain(to, size, ACCESS_WRITE, PC());
    return memcpy(to, from, size);
}

void *oai_model_memmove(void *to, const void *from, size_t size)
{
    plain(from, size, ACCESS_READ, PC());
    plain(to, size, ACCESS_WRITE, PC());
    return memmove(to, from, size);
}

void *oai_model_memset(void *to, int byte, size_t size)
{
    plain(to, size, ACCESS_WRITE, PC());
    return memset(to, byte, size);
}

// ---- Atomic accesses ----------------------------------------------------------------------------

void __tsan_atomic_thread_fence(int order)
{
    if (!E.self)
        return;
    E.self->wait_pc = PC();
    // Only a seq_cst fence has an effect on others, and so needs a place among their operations.
    eng_sched_point(order == __ATOMIC_SEQ_CST);
    TRACE(PC(), "fence  %s", eng_order_name(order));
    eng_fence(E.self, order);
}

void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}

#define WORD(BITS) uint##BITS##_t

#define RMW(BITS, NAME, OP)                                                                        \
    WORD(BITS) __tsan_atomic##BITS##_##NAME(volatile WORD(BITS) *at, WORD(BITS) v, int order);     \
    WORD(BITS) __tsan_atomic##BITS##_##NAME(volatile WORD(BITS) *at, WORD(BITS) v, int order)      \
    {                                                                                              \
        if (!E.self)                                                                               \
            model_fail("atomic operation outside of a model");                                     \
        return (WORD(BITS))eng_rmw((uintptr_t)at, BITS / 8, OP, v, order, PC());                   \
    }

#define CAS(BITS, NAME, WEAK)                                                                      \
    bool __tsan_atomic##BITS##_compare_exchange_##NAME(                                            \
        volatile WORD(BITS) *at, WORD(BITS) *expected, WORD(BITS) v, int success, int failure);    \
    bool __tsan_atomic##BITS##_compare_exchange_##NAME(                                            \
        volatile WORD(BITS) *at, WORD(BITS) *expected, WORD(BITS) v, int success, int failure)     \
    {                                                                                              \
        if (!E.self)                                                                               \
            model_fail("atomic operation outside of a model");                                     \
        uint64_t wanted = *expected;                                                               \
        bool done = eng_cas((uintptr_t)at, BITS / 8, &wanted, v, success, failure, WEAK, PC());    \
        *expected = (WORD(BITS))wanted;                                                            \
        return done;                                                                               \
    }

#define ATOMICS(BITS)                                                                              \
    WORD(BITS) __tsan_atomic##BITS##_load(const volatile WORD(BITS) *at, int order);               \
    WORD(BITS) __tsan_atomic##BITS##_load(const volatile WORD(BITS) *at, int order)                \
    {                                                                                              \
        if (!E.self)                                                                               \
            return *at;                                                                            \
        return (WORD(BITS))eng_load((uintptr_t)at, BITS / 8, order, PC());                         \
    }                                                                                              \
    void __tsan_atomic##BITS##_store(volatile WORD(BITS) *at, WORD(BITS) v, int order);            \
    void __tsan_atomic##BITS##_store(volatile WORD(BITS) *at, WORD(BITS) v, int order)             \
    {                                                                                              \
        if (E.self)                                                                                \
            eng_store((uintptr_t)at, BITS / 8, v, order, PC());                                    \
        else                                                                                       \
            *at = v;                                                                               \
    }                                                                                              \
    WORD(BITS) __tsan_atomic##BITS##_compare_exchange_val(                                         \
        volatile WORD(BITS) *at, WORD(BITS) expected, WORD(BITS) v, int success, int failure);     \
    WORD(BITS) __tsan_atomic##BITS##_compare_exchange_val(                                         \
        volatile WORD(BITS) *at, WORD(BITS) expected, WORD(BITS) v, int success, int failure)      \
    {                                                                                              \
        uint64_t wanted = expected;                                                                \
        eng_cas((uintptr_t)at, BITS / 8, &wanted, v, success, failure, false, PC());               \
        return (WORD(BITS))wanted;                                                                 \
    }                                                                                              \
    CAS(BITS, strong, false)                                                                       \
    CAS(BITS, weak, true)                                                                          \
    RMW(BITS, exchange, RMW_XCHG)                                                                  \
    RMW(BITS, fetch_add, RMW_ADD)                                                                  \
    RMW(BITS, fetch_sub, RMW_SUB)                                                                  \
    RMW(BITS, fetch_and, RMW_AND)                                                                  \
    RMW(BITS, fetch_or, RMW_OR)                                                                    \
    RMW(BITS, fetch_xor, RMW_XOR)                                                                  \
    RMW(BITS, fetch_nand, RMW_NAND)

ATOMICS(8)
ATOMICS(16)
ATOMICS(32)
ATOMICS(64)
