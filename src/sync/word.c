// SPDX-License-Identifier: BSD-2-Clause
// word.c - waiting for the lock in a word (see word.h).
#include "sync/word.h"

#include "base/lock.h"

uint64_t oai_word_lock(_Atomic uint64_t *word)
{
    unsigned rounds = 0;
    for (;;) {
        uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
        // Acquire: pairs with the release in oai_word_unlock().
        if (!(seen & OAI_WORD_LOCKED) &&
            atomic_compare_exchange_weak_explicit(word, &seen, seen | OAI_WORD_LOCKED,
                                                  memory_order_acquire, memory_order_relaxed))
            return seen;
        oai_lock_pause(&rounds);
    }
}
