// SPDX-License-Identifier: BSD-2-Clause
// mutex.h - what a condition variable asks of a mutex.
//
// Owns:    nothing. Callers: cond.c.
#ifndef OAI_SYNC_MUTEX_H
#define OAI_SYNC_MUTEX_H

#include <stdbool.h>

#include "oasync/sync.h"

// Whether the calling task or plain thread holds the mutex.
bool oai_mutex_held(oa_mutex_t *mutex);

#endif
