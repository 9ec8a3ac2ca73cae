// SPDX-License-Identifier: BSD-2-Clause
// fifo.h - a queue of elements of one size, copied in and out.
//
// Owns:    the memory of the elements. Callers: a channel, under its lock.
// Design:  a ring, made whole, for a bounded queue; a chain of segments for an unbounded one, so
//          that no push ever moves what is there.
#ifndef OAI_SYNC_FIFO_H
#define OAI_SYNC_FIFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct oai_segment oai_segment_t;

typedef struct oai_fifo {
    size_t elem_size;
    size_t count;
    size_t capacity; // SIZE_MAX: unbounded
    size_t first;    // index of the oldest element in the ring or the first segment
    union {
        char *ring;
        struct {
            oai_segment_t *head, *tail, *spare;
            size_t tail_used; // elements ever put into the last segment
        } chain;
    };
} oai_fifo_t;

// 0; -EINVAL: the size overflows; -ENOMEM.
int oai_fifo_init(oai_fifo_t *fifo, size_t elem_size, size_t capacity);
void oai_fifo_destroy(oai_fifo_t *fifo);

// Copies an element. Most are words.
static inline void oai_fifo_copy(void *to, const void *from, size_t size)
{
    if (size == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t));
    else if (size)
        memcpy(to, from, size);
}

// Copies an element in. 0; -EAGAIN: full; -ENOMEM.
int oai_fifo_push(oai_fifo_t *fifo, const void *elem);

// Copies the oldest element out (NULL: discards it). Precondition: count != 0.
void oai_fifo_pop(oai_fifo_t *fifo, void *elem);

#endif
