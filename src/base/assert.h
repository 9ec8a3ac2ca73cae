// SPDX-License-Identifier: BSD-2-Clause
// assert.h - what must hold: OAI_ASSERT in a debug build, OAI_REQUIRE always.
//
// Owns:    nothing.
// Callers: anybody. Neither is for input: bad input is a negative errno.
#ifndef OAI_BASE_ASSERT_H
#define OAI_BASE_ASSERT_H

#include <stdbool.h>

// Writes one line to stderr and aborts.
_Noreturn void oai_assert_failed(const char *text, const char *file, int line);

// Cheap and always there: a broken invariant that would corrupt what is the user's.
#define OAI_REQUIRE(condition)                                                                     \
    ((condition) ? (void)0 : oai_assert_failed(#condition, __FILE__, __LINE__))

#if defined(OAI_DEBUG) && OAI_DEBUG
#define OAI_ASSERT(condition) OAI_REQUIRE(condition)
#else
#define OAI_ASSERT(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif
