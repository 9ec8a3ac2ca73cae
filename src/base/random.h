// SPDX-License-Identifier: BSD-2-Clause
// random.h - small, fast pseudo-random numbers (xorshift64*, Vigna 2014), one state an owner.
//
// Owns:    nothing.
// Callers: the owner of the state alone; the state must not be zero.
#ifndef OAI_BASE_RANDOM_H
#define OAI_BASE_RANDOM_H

#include <stdint.h>

static inline uint32_t oai_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return (uint32_t)((x * UINT64_C(2685821657736338717)) >> 32);
}

// A number below `bound`, which is not zero, near enough to uniform for a choice of victims.
static inline uint32_t oai_random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)(((uint64_t)oai_random(state) * bound) >> 32);
}

#endif
