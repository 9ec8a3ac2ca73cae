// SPDX-License-Identifier: BSD-2-Clause
// oasync/chan.h - channels: elements of one size, handed from senders to receivers.
//
//     oa_chan_t *ch = oa_chan_make(sizeof(int), .capacity = 16);
//     oa_chan_send(ch, &i);      // in one task or thread
//     oa_chan_recv(ch, &i);      // in another
//     oa_chan_consume(ch, show); // or: show(&i) is called for each element
//
// Any number of tasks and plain threads may send and receive. What one sender sends arrives in its
// order; waiters are served first come, first served. An element is copied, byte for byte. In each
// call a `ch` of NULL is -EINVAL where nothing else is said.
#ifndef OASYNC_CHAN_H
#define OASYNC_CHAN_H

#include <stddef.h>
#include <stdint.h>

#include "task.h"
#include "time.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct oa_chan oa_chan_t;

// As a capacity: a send never waits, memory grows with what is queued.
#define OA_UNBOUNDED SIZE_MAX

// How a channel is to be. Zero is the default of every field.
typedef struct oa_chan_config {
    size_t size;      // sizeof(oa_chan_config_t); OA_CHAN_INIT and the macro fill it in
    size_t elem_size; // bytes of an element; 0: elements carry nothing but their arrival
    size_t capacity;  // how many elements it holds; 0: rendezvous, a send waits for its receiver
    int sliding; // not 0: a full channel drops its oldest element for a new one, so that no send
                 //   waits; the capacity must be neither 0 nor OA_UNBOUNDED
    int oa_reserved; // 0
} oa_chan_config_t;

#define OA_CHAN_INIT {sizeof(oa_chan_config_t), 0, 0, 0, 0}

#ifndef __cplusplus
// oa_chan_t *oa_chan_make(size_t elem_size, ...options): oa_chan_make(8, .capacity = 16).
#define oa_chan_make(...)                                                                          \
    oa_chan_make_config(                                                                           \
        &(oa_chan_config_t){.size = sizeof(oa_chan_config_t), .elem_size = __VA_ARGS__})
#endif

// Makes a channel, to be freed by oa_chan_free(). It belongs to no runtime and may be made before
// one starts and outlive it.
// Any thread; never waits.
// Returns the channel, or NULL: no memory, or a config that is NULL, of a wrong size or out of
// range (capacity times elem_size overflows, sliding without a capacity to slide in).
oa_chan_t *oa_chan_make_config(const oa_chan_config_t *config);

// Sends a copy of the element at `elem`: waits until there is room, on a rendezvous until a
// receiver has taken it. A sliding channel always has room.
// Any thread; waits.
// Returns 0, or, with the element not sent,
//  -EINVAL     ch is NULL, or elem is and elements have a size;
//  -EPIPE      the channel is closed, or was while this send waited;
//  -ECANCELED  the calling task was cancelled;
//  -ENOMEM     the caller cannot be parked (see the top of task.h), or an unbounded channel has no
//              memory.
int oa_chan_send(oa_chan_t *ch, const void *elem);

// As oa_chan_send(), until a deadline at the latest. Also
//  -ETIMEDOUT  the deadline has passed and the element could not be sent.
int oa_chan_send_until(oa_chan_t *ch, const void *elem, int64_t deadline);

// Receives the oldest element into `elem` (NULL: discards it), waiting until there is one. A
// closed channel still gives out what is in it.
// Any thread; waits.
// Returns 0, or, with *elem unchanged,
//  -EINVAL     ch is NULL;
//  -EPIPE      the channel is closed and empty;
//  -ECANCELED  the calling task was cancelled;
//  -ENOMEM     the caller cannot be parked (see the top of task.h).
int oa_chan_recv(oa_chan_t *ch, void *elem);

// As oa_chan_recv(), until a deadline at the latest. Also
//  -ETIMEDOUT  the deadline has passed and there was no element.
int oa_chan_recv_until(oa_chan_t *ch, void *elem, int64_t deadline);

// Sends if that needs no wait: there is room, or a receiver waits. A full sliding channel drops its
// oldest element. Works in a cancelled task too.
// Any thread; never waits.
// Returns 0, or, with the element not sent,
//  -EINVAL  ch is NULL, or elem is and elements have a size;
//  -EAGAIN  the channel is full; on a rendezvous: no receiver waits;
//  -EPIPE   the channel is closed;
//  -ENOMEM  an unbounded channel has no memory.
int oa_chan_put(oa_chan_t *ch, const void *elem);

// Receives into `elem` (NULL: discards) if that needs no wait: there is an element, or a sender
// waits. Works in a cancelled task too.
// Any thread; never waits.
// Returns 0, or, with *elem unchanged,
//  -EINVAL  ch is NULL;
//  -EAGAIN  the channel is empty and open;
//  -EPIPE   the channel is empty and closed.
int oa_chan_take(oa_chan_t *ch, void *elem);

#ifndef __cplusplus
// int oa_chan_consume(oa_chan_t *ch, consumer, [arg], ...options).
#define oa_chan_consume(ch, ...)                                                                   \
    oa_chan_consume_spec(                                                                          \
        (ch), &(oa_spec_t){.size = sizeof(oa_spec_t), .where = OA_WHERE, .fn = __VA_ARGS__})
#endif

// Has the function spec->fn called for each element of the channel, with a pointer to the
// consumer's own copy of it, good until the function returns and aligned as a type of that size may
// ask, up to 16 bytes. One call happens before the next.
// Each call is a task: it may wait, and has its own context, temp memory and cancel;
// oa_context()->user_ptr starts as spec->arg. A consumer that has nothing to call holds no stack
// and keeps no runtime alive. It is over when the channel is closed and it has called for all that
// was left there, when it is cancelled by its handle or its group, or when its coordinator is
// cancelled or ends: then what is left stays in the channel. Other receivers may take elements
// beside it. It takes up to 32 elements ahead, no more than the capacity and of a rendezvous one; a
// cancel drops those, as it drops tasks that have not begun. After 256 calls in a row other tasks
// of its worker have their turn.
// Options: name, stack, block, group (which counts the consumer until it is over), task (a handle
// of the consumer, to be joined or detached) and coord.
// Any thread, but see -EPERM; never waits.
// Returns 0, or, with NULL stored as the handle,
//  -EINVAL     ch, spec or its fn is NULL, its size is too small, a stack size out of range, or an
//              option that a consumer does not have;
//  -E2BIG      spec is larger than this library knows and its tail is not zero;
//  -EPERM      the caller is no task and coord is NULL;
//  -EBUSY      the channel has a consumer;
//  -ESHUTDOWN  the coordinator was shut down and takes no more tasks;
//  -ECANCELED  the group was cancelled and no oa_group_wait() has returned since;
//  -ENOMEM     there is no memory.
int oa_chan_consume_spec(oa_chan_t *ch, const oa_spec_t *spec);

// Closes a channel: sends are refused from now on, also those that wait; receives go on until it
// is empty.
// Any thread; never waits.
// Returns 0, or
//  -EINVAL    ch is NULL;
//  -EALREADY  it is closed.
int oa_chan_close(oa_chan_t *ch);

// Frees a channel, closed or not, with what is in it. NULL is 0 and does nothing.
// Any thread; never waits.
// Returns 0, or, with the channel unchanged,
//  -EBUSY  somebody waits on it, or its consumer is not over.
int oa_chan_free(oa_chan_t *ch);

// How many elements the channel holds now; those of waiting senders do not count. 0 for NULL.
// Any thread; never waits; cannot fail.
size_t oa_chan_len(oa_chan_t *ch);

// ---- Select -------------------------------------------------------------------------------------

//     int job, answer = 42;
//     oa_case_t cases[] = {OA_RECV(jobs, &job), OA_SEND(answers, &answer), OA_RECV(quit, NULL)};
//     switch (oa_select(cases, 3)) {
//     case 0: if (cases[0].result == 0) work(job); break; // else -EPIPE: jobs is closed
//     case 1: answered(); break;
//     case 2: return;
//     }
//     if (oa_select_until(cases, 3, 0) == -ETIMEDOUT) // none of them at once

typedef enum oa_case_kind {
    OA_CASE_SEND = 1, // as oa_chan_send()
    OA_CASE_RECV = 2, // as oa_chan_recv()
} oa_case_kind_t;

// One of those that a select waits for, made by OA_SEND() or OA_RECV().
typedef struct oa_case {
    oa_chan_t *ch;            // NULL: it never happens
    const void *send;         // the element to be sent
    void *recv;               // where what is received goes; NULL: it is discarded
    int kind;                 // an oa_case_kind_t
    int result;               // written when the case has happened: told at oa_select()
    uint64_t oa_reserved[12]; // the library's own, with a reserve
} oa_case_t;

// Initialiser of an oa_case_t, in C and in C++: sends a copy of the element at `elem`.
#define OA_SEND(ch, elem) {(ch), (elem), 0, OA_CASE_SEND, 0, {0}}

// The same: receives an element into `elem`; NULL: discards it.
#define OA_RECV(ch, elem) {(ch), 0, (elem), OA_CASE_RECV, 0, {0}}

// Waits until one of `cases` can happen, of which there are `n` elements, and makes it happen: of
// several that can, one at random, each as likely as the others. Its result is what the call that
// it stands for would have returned: 0, -EPIPE (a send to a closed channel, a receive from one that
// is closed and empty) or -ENOMEM (a send to an unbounded channel that has no memory). The other
// cases, and what they point to, stay as they were.
// A select looks at all its channels at one moment and, if it has to wait, stands in line at each.
// A channel may stand in several cases; a select never sends to itself. A case whose channel is
// NULL never happens: if there are no others, a task waits until it is cancelled, and a plain
// thread for ever.
// The cases are the call's own until it returns, and may be used again then. Whoever has made one
// of them happen may free its channel at once. The channels of the others, and one that stands in
// several cases, must be there until the select has returned; before that oa_chan_free() is -EBUSY.
// Any thread; waits.
// Returns the index of the case that happened, or, with nothing sent or received,
//  -EINVAL     cases is NULL, n is 0 or greater than INT_MAX, a case was not made by an
//              initialiser, or sends a NULL though the elements of its channel have a size;
//  -ECANCELED  the calling task was cancelled;
//  -ENOMEM     the caller cannot be parked (see the top of task.h).
int oa_select(oa_case_t cases[], size_t n);

// As oa_select(), until a deadline at the latest; one that has passed, 0 is one, means: try once.
// Also
//  -ETIMEDOUT  the deadline has passed and no case could happen.
int oa_select_until(oa_case_t cases[], size_t n, int64_t deadline);

#ifdef __cplusplus
}
#endif

#endif
