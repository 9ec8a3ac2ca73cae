// SPDX-License-Identifier: BSD-2-Clause
// local_model.c - keys of locals: a value meets the destroyer of its own key or none.
//
// One task sets a value and ends, while another thread deletes the key and makes the next one in
// the same place, or makes the first at all. The record of a task is the model's own. Complete to
// three preemptions.
#include "model.h"
#include "sched/own.h"

#include <string.h>

// Outcomes for must_see.
enum { DESTROYED, FORGOTTEN, REFUSED, SAME_PLACE };

static oa_local_t key, next;
static _Atomic oa_local_t told;
static int value, destroyed, deleted[2];

// ---- The record of the one task -----------------------------------------------------------------

static oai_own_t own;
static oai_chunk_t chunk;
static struct {
    oai_values_t values;
    oai_value_t at[1 << OAI_LOCAL_BITS];
} room;

oai_own_t *oai_own(void)
{
    return &own;
}

oai_values_t *oai_own_values(void)
{
    return chunk.values;
}

void *oai_own_take(oai_own_t *of, size_t size)
{
    (void)of;
    (void)size;
    return NULL; // there is room from the beginning
}

static void reset(void)
{
    memset(&room, 0, sizeof room);
    memset(&chunk, 0, sizeof chunk);
    room.values.count = 1 << OAI_LOCAL_BITS;
    chunk.values = &room.values;
    own.chunk = &chunk;
    destroyed = deleted[0] = deleted[1] = 0;
    oa_local_delete(key);
    oa_local_delete(next);
    key = next = 0;
    atomic_init(&told, 0);
}

static void destroy_mine(void *given)
{
    model_assert(given == &value);
    destroyed++;
}

static void destroy_others(void *given)
{
    (void)given;
    model_fail("the destroyer of another key");
}

// Sets a value under the key and ends.
static bool set_and_end(oa_local_t mine)
{
    bool set = oa_local_set(mine, &value) == 0;
    oai_locals_end(&own);
    return set;
}

// ---- Deleted and made anew ----------------------------------------------------------------------

static void task(void *arg)
{
    (void)arg;
    bool set = set_and_end(key);
    model_assert(destroyed <= set);
    model_seen(!set ? REFUSED : destroyed ? DESTROYED : FORGOTTEN);
}

static void replace(void *arg)
{
    (void)arg;
    model_assert(oa_local_delete(key) == 0);
    model_assert(oa_local_create(&next, destroy_others) == 0);
    model_assert(next != key);
    if (next % 2 == key % 2)
        model_seen(SAME_PLACE);
}

static void replaced(void)
{
    reset();
    model_assert(oa_local_create(&key, destroy_mine) == 0);
    model_thread("task", task, NULL);
    model_thread("replace", replace, NULL);
}

MODEL(replaced, replaced, NULL, .statics = true,
      .must_see = 1 << DESTROYED | 1 << FORGOTTEN | 1 << REFUSED | 1 << SAME_PLACE);

// ---- Made while the task runs, in the place of a deleted one ------------------------------------

static void make(void *arg)
{
    (void)arg;
    model_assert(oa_local_create(&key, destroy_mine) == 0);
    atomic_store_explicit(&told, key, memory_order_relaxed);
}

static void use(void *arg)
{
    (void)arg;
    bool set = set_and_end(atomic_load_explicit(&told, memory_order_relaxed));
    model_assert(destroyed == set);
    model_seen(set ? DESTROYED : REFUSED);
}

static void made(void)
{
    reset();
    model_assert(oa_local_create(&next, destroy_others) == 0);
    model_assert(oa_local_delete(next) == 0);
    model_thread("make", make, NULL);
    model_thread("use", use, NULL);
}

MODEL(made, made, NULL, .statics = true, .must_see = 1 << DESTROYED | 1 << REFUSED);

// ---- Two make, two delete -----------------------------------------------------------------------

static void make_one(void *mine)
{
    oa_local_t *made_key = mine;
    model_assert(oa_local_create(made_key, NULL) == 0);
}

static void delete_it(void *count)
{
    *(int *)count = oa_local_delete(key) == 0;
}

static void two_keys(void)
{
    model_assert(key != next && key % 2 != next % 2);
}

static void makers(void)
{
    reset();
    model_thread("make", make_one, &key);
    model_thread("make 2", make_one, &next);
}

MODEL(makers, makers, two_keys, .statics = true);

static void one_deleted(void)
{
    model_assert(deleted[0] + deleted[1] == 1);
}

static void deleters(void)
{
    reset();
    model_assert(oa_local_create(&key, NULL) == 0);
    model_thread("delete", delete_it, &deleted[0]);
    model_thread("delete 2", delete_it, &deleted[1]);
}

MODEL(deleters, deleters, one_deleted, .statics = true);
