// SPDX-License-Identifier: BSD-2-Clause
// fifo.h - a queue of elements of one size, copied in and out.
//
// Owns:    the memory of the elements. Callers: a channel, under its lock.
// Design:  a ring, made whole, for a bounded queue; a chain of segments for an unbounded one, so
//          that no push ever moves what is there.
#ifndef OAI_SYNC_FIFO_H
#define OAI_SYNC_FIFO_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/atomic.h"

typedef struct oai_segment oai_segment_t;

typedef struct oai_fifo {
    size_t elem_size;
    size_t count;
    size_t capacity; // SIZE_MAX: unbounded
    union {
        struct {
            char *begin, *end; // constant
            char *in, *out;    // the places of the next and of the oldest element
        } ring;
        struct {
            oai_segment_t *head, *tail, *spare;
            uint32_t first;     // index of the oldest element in the first segment
            uint32_t tail_used; // elements ever put into the last segment
        } chain;
    };
} oai_fifo_t;

// 0; -EINVAL: the size overflows; -ENOMEM.
int oai_fifo_init(oai_fifo_t *fifo, size_t elem_size, size_t capacity);
void oai_fifo_destroy(oai_fifo_t *fifo);

// The commonest element: a pointer, a number.
typedef uint64_t oai_word_t;

// Copies an element.
static inline void oai_fifo_copy(void *to, const void *from, size_t size)
{
    if (size == sizeof(oai_word_t))
        memcpy(to, from, sizeof(oai_word_t));
    else if (size)
        memcpy(to, from, size);
}

// The two below for what is no bounded queue of elements with a size.
int oai_fifo_push_other(oai_fifo_t *fifo, const void *elem);
void oai_fifo_pop_other(oai_fifo_t *fifo, void *elem);

// Moves up to `most` of the oldest elements to `to`, one behind the other. How many: 0 when there
// are none.
size_t oai_fifo_pop_some(oai_fifo_t *fifo, char *to, size_t most);

// Whether the elements stand in a ring.
static inline bool oai_fifo_ring(const oai_fifo_t *fifo)
{
    return fifo->capacity != SIZE_MAX && fifo->elem_size != 0;
}

// Copies an element of this size into a ring that has room, or the oldest out of one that is not
// empty (NULL: discards it).
static inline void oai_fifo_ring_in(oai_fifo_t *fifo, const void *elem, size_t size)
{
    char *in = fifo->ring.in;
    oai_fifo_copy(in, elem, size);
    in += size;
    fifo->ring.in = in == fifo->ring.end ? fifo->ring.begin : in;
    fifo->count++;
}

static inline void oai_fifo_ring_out(oai_fifo_t *fifo, void *elem, size_t size)
{
    char *out = fifo->ring.out;
    if (elem)
        oai_fifo_copy(elem, out, size);
    out += size;
    fifo->ring.out = out == fifo->ring.end ? fifo->ring.begin : out;
    fifo->count--;
}

// Copies an element in. 0; -EAGAIN: full; -ENOMEM.
static inline int oai_fifo_push(oai_fifo_t *fifo, const void *elem)
{
    if (fifo->count == fifo->capacity)
        return -EAGAIN;
    if (OAI_UNLIKELY(!oai_fifo_ring(fifo)))
        return oai_fifo_push_other(fifo, elem);
    oai_fifo_ring_in(fifo, elem, fifo->elem_size);
    return 0;
}

// Copies the oldest element out (NULL: discards it). Precondition: count != 0.
static inline void oai_fifo_pop(oai_fifo_t *fifo, void *elem)
{
    if (OAI_LIKELY(oai_fifo_ring(fifo)))
        oai_fifo_ring_out(fifo, elem, fifo->elem_size);
    else
        oai_fifo_pop_other(fifo, elem);
}

#endif
