// SPDX-License-Identifier: BSD-2-Clause
// litmus.c - the engine's own test, memory model part: which outcomes C11 allows, and all of them.
//
// Each model is a classic litmus test: `must_see` holds the outcomes that have to appear, and
// `never_see` those that must not. Names and verdicts as in the literature (SB store buffering, MP
// message passing, LB load buffering, IRIW independent reads of independent writes, WRC
// write-to-read causality). litmus_races.c and litmus_waits.c test the rest.
#include "model.h"

#include <stdatomic.h>

#define RLX memory_order_relaxed
#define ACQ memory_order_acquire
#define REL memory_order_release
#define AR memory_order_acq_rel
#define SC memory_order_seq_cst

#define STORE(VAR, VALUE, ORDER) atomic_store_explicit(&(VAR), VALUE, ORDER)
#define LOAD(VAR, ORDER) atomic_load_explicit(&(VAR), ORDER)
#define ADD(VAR, VALUE, ORDER) atomic_fetch_add_explicit(&(VAR), VALUE, ORDER)
#define FENCE(ORDER) atomic_thread_fence(ORDER)

static atomic_int x, y, z;
static int r[8]; // each written by one thread, read by check

static void reset(void)
{
    STORE(x, 0, RLX);
    STORE(y, 0, RLX);
    STORE(z, 0, RLX);
    model_name(&x, "x");
    model_name(&y, "y");
    model_name(&z, "z");
    for (int i = 0; i < 8; i++)
        r[i] = 0;
}

// The outcome: the bits of r[0], r[1], ... as a number.
static void check_2(void)
{
    model_seen(r[0] + 2 * r[1]);
}

static void check_4(void)
{
    model_seen(r[0] + 2 * r[1] + 4 * r[2] + 8 * r[3]);
}

#define BIT(OUTCOME) (1ull << (OUTCOME))

// THREAD(name, statements): a thread's function.
#define THREAD(NAME, ...)                                                                          \
    static void NAME(void *unused)                                                                 \
    {                                                                                              \
        (void)unused;                                                                              \
        __VA_ARGS__                                                                                \
    }

#define SETUP_2(NAME)                                                                              \
    static void NAME##_setup(void)                                                                 \
    {                                                                                              \
        reset();                                                                                   \
        model_thread("P0", NAME##_0, NULL);                                                        \
        model_thread("P1", NAME##_1, NULL);                                                        \
    }

#define SETUP_3(NAME)                                                                              \
    static void NAME##_setup(void)                                                                 \
    {                                                                                              \
        reset();                                                                                   \
        model_thread("P0", NAME##_0, NULL);                                                        \
        model_thread("P1", NAME##_1, NULL);                                                        \
        model_thread("P2", NAME##_2, NULL);                                                        \
    }

// ---- SB: x = 1; r0 = y || y = 1; r1 = x. Weak outcome: 0 0 --------------------------------------

#define SB(NAME, STORE_ORDER, BETWEEN_0, BETWEEN_1, LOAD_ORDER, ...)                               \
    THREAD(NAME##_0, STORE(x, 1, STORE_ORDER); BETWEEN_0; r[0] = LOAD(y, LOAD_ORDER);)             \
    THREAD(NAME##_1, STORE(y, 1, STORE_ORDER); BETWEEN_1; r[1] = LOAD(x, LOAD_ORDER);)             \
    SETUP_2(NAME)                                                                                  \
    MODEL(NAME, NAME##_setup, check_2, __VA_ARGS__)

#define ALL_4 .must_see = 15
#define NOT_00 .must_see = 14, .never_see = 1

SB(sb_relaxed, RLX, (void)0, (void)0, RLX, ALL_4);
SB(sb_release_acquire, REL, (void)0, (void)0, ACQ, ALL_4);
SB(sb_seq_cst, SC, (void)0, (void)0, SC, NOT_00);
SB(sb_seq_cst_stores_only, SC, (void)0, (void)0, ACQ, ALL_4);
SB(sb_seq_cst_loads_only, RLX, (void)0, (void)0, SC, ALL_4);
SB(sb_fences, RLX, FENCE(SC), FENCE(SC), RLX, NOT_00);
SB(sb_one_fence, RLX, FENCE(SC), (void)0, RLX, ALL_4);
SB(sb_weak_fences, RLX, FENCE(AR), FENCE(AR), RLX, ALL_4);
SB(sb_fence_and_seq_cst, SC, FENCE(SC), (void)0, SC, NOT_00);
SB(sb_membarrier, RLX, model_membarrier(), atomic_signal_fence(SC), RLX, NOT_00);
SB(sb_no_membarrier, RLX, atomic_signal_fence(SC), atomic_signal_fence(SC), RLX, ALL_4);
SB(sb_rmw_same_variable, RLX, ADD(z, 1, AR), ADD(z, 1, AR), RLX, NOT_00);
SB(sb_rmw_relaxed, RLX, ADD(z, 1, RLX), ADD(z, 1, RLX), RLX, ALL_4);

// ---- MP: x = 1; y = 1 || r0 = y; r1 = x. Weak outcome: 1 0 --------------------------------------

#define MP(NAME, STORE_ORDER, BETWEEN_0, BETWEEN_1, LOAD_ORDER, ...)                               \
    THREAD(NAME##_0, STORE(x, 1, RLX); BETWEEN_0; STORE(y, 1, STORE_ORDER);)                       \
    THREAD(NAME##_1, r[0] = LOAD(y, LOAD_ORDER); BETWEEN_1; r[1] = LOAD(x, RLX);)                  \
    SETUP_2(NAME)                                                                                  \
    MODEL(NAME, NAME##_setup, check_2, __VA_ARGS__)

#define NOT_10 .must_see = 13, .never_see = 2

MP(mp_relaxed, RLX, (void)0, (void)0, RLX, ALL_4);
MP(mp_release_relaxed, REL, (void)0, (void)0, RLX, ALL_4);
MP(mp_relaxed_acquire, RLX, (void)0, (void)0, ACQ, ALL_4);
MP(mp_release_acquire, REL, (void)0, (void)0, ACQ, NOT_10);
MP(mp_seq_cst, SC, (void)0, (void)0, SC, NOT_10);
MP(mp_seq_cst_relaxed, SC, (void)0, (void)0, RLX, ALL_4);
MP(mp_relaxed_seq_cst, RLX, (void)0, (void)0, SC, ALL_4);
MP(mp_release_seq_cst, REL, (void)0, (void)0, SC, NOT_10);
MP(mp_seq_cst_acquire, SC, (void)0, (void)0, ACQ, NOT_10);
MP(mp_fences, RLX, FENCE(REL), FENCE(ACQ), RLX, NOT_10);
MP(mp_release_fence_only, RLX, FENCE(REL), (void)0, RLX, ALL_4);
MP(mp_acquire_fence_only, RLX, (void)0, FENCE(ACQ), RLX, ALL_4);
MP(mp_release_fence_acquire, RLX, FENCE(REL), (void)0, ACQ, NOT_10);
MP(mp_release_acquire_fence, REL, (void)0, FENCE(ACQ), RLX, NOT_10);
MP(mp_wrong_fences, RLX, FENCE(ACQ), FENCE(REL), RLX, ALL_4);
MP(mp_seq_cst_fences, RLX, FENCE(SC), FENCE(SC), RLX, NOT_10);
MP(mp_signal_fences, RLX, atomic_signal_fence(SC), atomic_signal_fence(SC), RLX, ALL_4);

// ---- LB: r0 = y; x = 1 || r1 = x; y = 1. 1 1 is C11, but not of this engine ---------------------

THREAD(lb_0, r[0] = LOAD(y, RLX); STORE(x, 1, RLX);)
THREAD(lb_1, r[1] = LOAD(x, RLX); STORE(y, 1, RLX);)
SETUP_2(lb)
MODEL(lb, lb_setup, check_2, .must_see = 7, .never_see = 8);

// ---- IRIW: x = 1 || y = 1 || r0 = x; r1 = y || r2 = y; r3 = x. Weak: 1 0 1 0 --------------------

#define IRIW(NAME, STORE_ORDER, BETWEEN, LOAD_ORDER, ...)                                          \
    THREAD(NAME##_0, STORE(x, 1, STORE_ORDER);)                                                    \
    THREAD(NAME##_1, STORE(y, 1, STORE_ORDER);)                                                    \
    THREAD(NAME##_2, r[0] = LOAD(x, LOAD_ORDER); BETWEEN; r[1] = LOAD(y, LOAD_ORDER);)             \
    THREAD(NAME##_3, r[2] = LOAD(y, LOAD_ORDER); BETWEEN; r[3] = LOAD(x, LOAD_ORDER);)             \
    static void NAME##_setup(void)                                                                 \
    {                                                                                              \
        reset();                                                                                   \
        model_thread("P0", NAME##_0, NULL);                                                        \
        model_thread("P1", NAME##_1, NULL);                                                        \
        model_thread("P2", NAME##_2, NULL);                                                        \
        model_thread("P3", NAME##_3, NULL);                                                        \
    }                                                                                              \
    MODEL(NAME, NAME##_setup, check_4, __VA_ARGS__)

IRIW(iriw_relaxed, RLX, (void)0, RLX, .must_see = 0xffff);
IRIW(iriw_release_acquire, REL, (void)0, ACQ, .must_see = 0xffff);
IRIW(iriw_seq_cst, SC, (void)0, SC, .must_see = 0xffff & ~BIT(5), .never_see = BIT(5));
IRIW(iriw_fences, RLX, FENCE(SC), RLX, .must_see = 0xffff & ~BIT(5), .never_see = BIT(5));
IRIW(iriw_weak_fences, RLX, FENCE(AR), RLX, .must_see = 0xffff);

// ---- Coherence ----------------------------------------------------------------------------------

// Two reads of one variable never go back. Outcome: first + 3 * second.
THREAD(corr_0, STORE(x, 1, RLX); STORE(x, 2, RLX);)
THREAD(corr_1, r[0] = LOAD(x, RLX); r[1] = LOAD(x, RLX);)
SETUP_2(corr)

static void corr_check(void)
{
    model_seen(r[0] + 3 * r[1]);
    model_assert(LOAD(x, RLX) == 2);
}

MODEL(corr, corr_setup, corr_check, .must_see = BIT(0) | BIT(3) | BIT(6) | BIT(4) | BIT(7) | BIT(8),
      .never_see = BIT(1) | BIT(2) | BIT(5));

// CoWR, CoRW: a thread never reads what is older than its own store, or than what it has read.
THREAD(cowr_0, STORE(x, 1, RLX); r[0] = LOAD(x, RLX);)
THREAD(cowr_1, STORE(x, 2, RLX); r[1] = LOAD(x, RLX);)
SETUP_2(cowr)

static void cowr_check(void)
{
    int last = LOAD(x, RLX);
    model_assert(r[0] != 0 && r[1] != 0);
    model_assert(!(last == 2 && r[1] == 1) && !(last == 1 && r[0] == 2));
    model_seen(r[0] + 3 * r[1]);
}

MODEL(cowr, cowr_setup, cowr_check, .must_see = BIT(7) | BIT(8) | BIT(4), .never_see = BIT(5));

// Coherence is carried by happens-before: what P1 has read of x, P2 may not read older.
THREAD(corr_hb_0, STORE(x, 1, RLX);)
THREAD(corr_hb_1, r[0] = LOAD(x, RLX); STORE(y, 1, REL);)
THREAD(corr_hb_2, r[1] = LOAD(y, ACQ); r[2] = LOAD(x, RLX);)
SETUP_3(corr_hb)
MODEL(corr_hb, corr_hb_setup, check_4, .must_see = BIT(0) | BIT(1) | BIT(2) | BIT(6) | BIT(7),
      .never_see = BIT(3));

// 2+2W: x = 1; y = 2 || y = 1; x = 2. C11 allows x = y = 1 at the end; stores that go anywhere but
// to the end of the modification order are not explored.
THREAD(two_writes_0, STORE(x, 1, RLX); STORE(y, 2, RLX);)
THREAD(two_writes_1, STORE(y, 1, RLX); STORE(x, 2, RLX);)
SETUP_2(two_writes)

static void two_writes_check(void)
{
    model_seen(LOAD(x, RLX) - 1 + 2 * (LOAD(y, RLX) - 1));
}

MODEL(two_writes, two_writes_setup, two_writes_check, .must_see = 14, .never_see = 1);

// ---- Causality ----------------------------------------------------------------------------------

// WRC: x = 1 || r0 = x; y = 1 || r1 = y; r2 = x. Weak: 1 1 0.
#define WRC(NAME, STORE_ORDER, LOAD_ORDER, ...)                                                    \
    THREAD(NAME##_0, STORE(x, 1, STORE_ORDER);)                                                    \
    THREAD(NAME##_1, r[0] = LOAD(x, LOAD_ORDER); STORE(y, 1, STORE_ORDER);)                        \
    THREAD(NAME##_2, r[1] = LOAD(y, LOAD_ORDER); r[2] = LOAD(x, LOAD_ORDER);)                      \
    SETUP_3(NAME)                                                                                  \
    MODEL(NAME, NAME##_setup, check_4, __VA_ARGS__)

WRC(wrc_relaxed, RLX, RLX, .must_see = 0xff);
WRC(wrc_release_acquire, REL, ACQ, .must_see = 0xf7, .never_see = BIT(3));
WRC(wrc_seq_cst, SC, SC, .must_see = 0xf7, .never_see = BIT(3));

// ISA2: causality through two hands.
THREAD(isa2_0, STORE(x, 1, RLX); STORE(y, 1, REL);)
THREAD(isa2_1, r[0] = LOAD(y, ACQ); STORE(z, 1, REL);)
THREAD(isa2_2, r[1] = LOAD(z, ACQ); r[2] = LOAD(x, RLX);)
SETUP_3(isa2)
MODEL(isa2, isa2_setup, check_4, .must_see = 0xf7, .never_see = BIT(3));

// R: x = 1; y = 1 || y = 2; r0 = x. Weak: y = 2 at the end and r0 = 0.
#define R_TEST(NAME, BETWEEN, ...)                                                                 \
    THREAD(NAME##_0, STORE(x, 1, RLX); BETWEEN; STORE(y, 1, RLX);)                                 \
    THREAD(NAME##_1, STORE(y, 2, RLX); BETWEEN; r[0] = LOAD(x, RLX);)                              \
    SETUP_2(NAME)                                                                                  \
    MODEL(NAME, NAME##_setup, r_check, __VA_ARGS__)

static void r_check(void)
{
    model_seen(r[0] + 2 * (LOAD(y, RLX) - 1));
}

R_TEST(r_relaxed, (void)0, .must_see = 15);
R_TEST(r_fences, FENCE(SC), .must_see = 11, .never_see = BIT(2));

// ---- Release sequences --------------------------------------------------------------------------

// A relaxed read-modify-write of another thread continues it: who reads 2 in y sees x.
THREAD(rs_rmw_0, STORE(x, 1, RLX); STORE(y, 1, REL);)
THREAD(rs_rmw_1, ADD(y, 1, RLX);)
THREAD(rs_rmw_2, r[0] = LOAD(y, ACQ) == 2; r[1] = LOAD(x, RLX);)
SETUP_3(rs_rmw)

static void rs_rmw_check(void)
{
    // y == 2 means store, then add: the other order ends in 1.
    model_seen(r[0] + 2 * r[1]);
}

MODEL(rs_rmw, rs_rmw_setup, rs_rmw_check, .must_see = 13, .never_see = 2);

// A relaxed store does not continue it, be it of another thread ...
THREAD(rs_store_0, STORE(x, 1, RLX); STORE(y, 1, REL);)
THREAD(rs_store_1, if (LOAD(y, RLX) == 1) STORE(y, 2, RLX);)
THREAD(rs_store_2, r[0] = LOAD(y, ACQ) == 2; r[1] = LOAD(x, RLX);)
SETUP_3(rs_store)
MODEL(rs_store, rs_store_setup, check_2, .must_see = 15);

// ... or, since C20, of the same one.
THREAD(rs_same_0, STORE(x, 1, RLX); STORE(y, 1, REL); STORE(y, 2, RLX);)
THREAD(rs_same_1, r[0] = LOAD(y, ACQ) == 2; r[1] = LOAD(x, RLX);)
SETUP_2(rs_same)
MODEL(rs_same_thread, rs_same_setup, check_2, .must_see = 15);

// A read-modify-write always reads the last store: nothing is lost.
THREAD(rmw_0, r[0] = ADD(x, 1, RLX);)
THREAD(rmw_1, r[1] = ADD(x, 1, RLX);)
SETUP_2(rmw)

static void rmw_check(void)
{
    model_assert(LOAD(x, RLX) == 2);
    model_seen(r[0] + 2 * r[1]);
}

MODEL(rmw_atomic, rmw_setup, rmw_check, .must_see = 6, .never_see = 9);

// A failed compare-exchange is a load of its failure order.
#define CAS_FAILS(NAME, FAILURE, ...)                                                              \
    THREAD(NAME##_0, STORE(x, 1, RLX); STORE(y, 1, REL);)                                          \
    THREAD(NAME##_1, int e = 5;                                                                    \
           atomic_compare_exchange_strong_explicit(&y, &e, 9, AR, FAILURE); r[0] = e;              \
           r[1] = LOAD(x, RLX);)                                                                   \
    SETUP_2(NAME)                                                                                  \
    MODEL(NAME, NAME##_setup, check_2, __VA_ARGS__)

CAS_FAILS(cas_fails_acquire, ACQ, NOT_10);
CAS_FAILS(cas_fails_relaxed, RLX, ALL_4);

// ---- Mixtures with seq_cst ----------------------------------------------------------------------

// A seq_cst load may not read what a seq_cst store before it in S has replaced; a relaxed one may.
THREAD(sc_mix_0, STORE(x, 1, SC); STORE(y, 1, SC);)
THREAD(sc_mix_1, r[0] = LOAD(y, SC); r[1] = LOAD(x, RLX);)
SETUP_2(sc_mix)
MODEL(sc_mix, sc_mix_setup, check_2, .must_see = 13, .never_see = 2);

// A fence on one side meets seq_cst accesses on the other: SB with them is forbidden too.
THREAD(sc_fence_mix_0, STORE(x, 1, RLX); FENCE(SC); r[0] = LOAD(y, RLX);)
THREAD(sc_fence_mix_1, STORE(y, 1, SC); r[1] = LOAD(x, SC);)
SETUP_2(sc_fence_mix)
MODEL(sc_fence_mix, sc_fence_mix_setup, check_2, NOT_00);

// Fences order what is before and after them also through a third thread (RWC).
THREAD(rwc_0, STORE(x, 1, RLX);)
THREAD(rwc_1, r[0] = LOAD(x, RLX); FENCE(SC); r[1] = LOAD(y, RLX);)
THREAD(rwc_2, STORE(y, 1, RLX); FENCE(SC); r[2] = LOAD(x, RLX);)
SETUP_3(rwc)
MODEL(rwc_fences, rwc_setup, check_4, .must_see = 0xfd, .never_see = BIT(1));
