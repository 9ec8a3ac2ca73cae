// SPDX-License-Identifier: BSD-2-Clause
// local.c - locals: keys under which each task has a value of its own.
//
// Owns:    the table of keys, the process's. A key is an index into it and a generation above, so
//          that a deleted key is known as such for good.
// Callers: create and delete, any thread; get and set, the task whose value it is.
// Design:  create and delete take a lock, get, set and the end of a task do not. They ask whether
//          the key lives still by one look at `live`. A destroyer is read before that look: of
//          a later key of the same index it can be only if the look says that the key is dead.
#include <string.h>

#include "base/lock.h"
#include "sched/own.h"

enum {
    KEYS = 1 << OAI_LOCAL_BITS,
    ROUNDS = 4, // of destroyers at the end of a task, as PTHREAD_DESTRUCTOR_ITERATIONS
};

typedef void destroy_fn(void *);

static struct key {
    // The key, or 0. Written under the lock. Release; pairs with the acquire in lives(): who finds
    // a key alive finds its destroyer.
    _Atomic oa_local_t live;
    // Written under the lock, before `live` of its key. Release; pairs with the acquire in
    // destroyer_of(): who finds the destroyer of a later key finds the key before it dead.
    destroy_fn *_Atomic destroy;
    uint64_t generation; // of the last key: under the lock
} table[KEYS];

static oai_lock_t lock = OAI_LOCK_INIT; // of the table

static size_t index_of(oa_local_t key)
{
    return key % KEYS;
}

static bool lives(oa_local_t key)
{
    // Acquire: told at `live`.
    return key && atomic_load_explicit(&table[index_of(key)].live, memory_order_acquire) == key;
}

// The destroyer of a key; NULL: it has none, or is deleted.
static destroy_fn *destroyer_of(oa_local_t key)
{
    // Acquire: told at `destroy`.
    destroy_fn *destroy = atomic_load_explicit(&table[index_of(key)].destroy, memory_order_acquire);
    return lives(key) ? destroy : NULL;
}

int oa_local_create(oa_local_t *key, void (*destroy)(void *))
{
    if (!key)
        return -EINVAL;
    oai_lock(&lock);
    size_t index = 0;
    // Relaxed: written under the lock.
    while (index < KEYS && atomic_load_explicit(&table[index].live, memory_order_relaxed))
        index++;
    if (index < KEYS) {
        *key = ++table[index].generation << OAI_LOCAL_BITS | index;
        // Release, both: told at the fields.
        atomic_store_explicit(&table[index].destroy, destroy, memory_order_release);
        atomic_store_explicit(&table[index].live, *key, memory_order_release);
    }
    oai_unlock(&lock);
    return index < KEYS ? 0 : -EAGAIN;
}

int oa_local_delete(oa_local_t key)
{
    oai_lock(&lock);
    bool deleted = lives(key);
    if (deleted) // relaxed: the release of the next key's destroyer comes after it
        atomic_store_explicit(&table[index_of(key)].live, 0, memory_order_relaxed);
    oai_unlock(&lock);
    oai_point(__func__, NULL);
    return deleted ? 0 : -EINVAL;
}

// ---- Values -----------------------------------------------------------------------------------

void *oa_local_get(oa_local_t key)
{
    const oai_values_t *values = oai_own_values();
    size_t index = index_of(key);
    if (!values || index >= values->count || values->at[index].key != key || !lives(key))
        return NULL;
    return values->at[index].value;
}

// The task's values, with room for this index. NULL: no memory.
static oai_values_t *grow(oai_own_t *own, size_t index)
{
    oai_values_t *old = own->chunk ? own->chunk->values : NULL;
    size_t count = old ? old->count : 4;
    if (old && index < count)
        return old;
    while (count <= index)
        count *= 2;
    oai_values_t *values = oai_own_take(own, sizeof *values + count * sizeof values->at[0]);
    if (!values)
        return NULL;
    size_t kept = old ? old->count : 0;
    values->count = count;
    memset(values->at, 0, count * sizeof values->at[0]);
    if (kept)
        memcpy(values->at, old->at, kept * sizeof values->at[0]);
    own->chunk->values = values;
    return values;
}

int oa_local_set(oa_local_t key, void *value)
{
    oai_own_t *own = oai_own();
    if (!own)
        return -EPERM;
    if (!lives(key))
        return -EINVAL;
    oai_values_t *values = grow(own, index_of(key));
    if (!values)
        return -ENOMEM;
    values->at[index_of(key)] = (oai_value_t){key, value};
    return 0;
}

// Calls the destroyer of each value that there is. False: there was none. The array may become
// another one in each call.
static bool destroy_round(oai_own_t *own)
{
    bool any = false;
    for (size_t i = 0; i < own->chunk->values->count; i++) {
        oai_value_t *slot = &own->chunk->values->at[i];
        void *value = slot->value;
        destroy_fn *destroy = value ? destroyer_of(slot->key) : NULL;
        slot->value = NULL;
        if (destroy) {
            destroy(value);
            any = true;
        }
    }
    return any;
}

void oai_locals_end(oai_own_t *own)
{
    if (!own->chunk || !own->chunk->values)
        return;
    for (int round = 0; round < ROUNDS && destroy_round(own); round++)
        ;
}
