// SPDX-License-Identifier: BSD-2-Clause
// consumer.c - a channel that calls a function for each of its elements.
//
// A consumer rests while there is nothing to call: without a stack, uncounted, in no list
// (dormant.c). The sender that finds it at rest copies its element straight into it and queues it.
// From then on its task takes one element after the other until there is none, and rests again:
// that is decided when the task has left its stack, under the channel's lock, so that the next
// sender may queue it at once. It is over when the channel is closed and empty, when it was
// cancelled, or with its coordinator.
//
// It takes a few elements at once, for the channel's lock is half of what a short call costs. Those
// are calls that have not begun: a cancel drops them.
//
// Locks: who cancels it holds the lock of its ticket or group, takes `lock`, then the channel's.
// Only `lock` makes it sure that the channel is there: when the consumer has let go of the channel,
// its user may free that.
#include <errno.h>

#include "os/os.h"
#include "sync/channel.h"

enum {
    IN_A_ROW = 256, // calls before other tasks have their turn
    AT_ONCE = 32,   // elements taken under one lock, those larger than LARGE one by one
    LARGE = 64,     // bytes
};

struct oai_consumer {
    oai_dormant_t dormant; // first
    oa_fn *fn;             // constant, as the next two
    size_t elem_size;      // the channel's: that stands beside what senders write
    size_t at_once;
    // The elements to be called, and how many they are: the task's own, or whose who finds it at
    // rest.
    char *next;
    size_t left;
    oai_lock_t lock; // guards `ch`
    oa_chan_t *ch;   // NULL: let go of
    bool over;       // under the channel's lock: nobody but its end touches it any more
    // One behind the other: aligned as a type of that size can ask.
    _Alignas(16) char elems[];
};

static oai_consumer_t *consumer_of(oai_dormant_t *dormant)
{
    return (oai_consumer_t *)(void *)dormant;
}

// Under the channel's lock: takes what there is. 0 when that is anything, else -EAGAIN, -EPIPE or
// -ECANCELED. `senders` gets who is to be made ready.
static int load(oai_consumer_t *consumer, oai_list_t *senders)
{
    oa_chan_t *ch = consumer->ch;
    if (oai_dormant_ending(&consumer->dormant))
        return -ECANCELED;
    consumer->next = consumer->elems;
    consumer->left = oai_chan_take_some(ch, consumer->elems, consumer->at_once, senders);
    if (consumer->left)
        return 0;
    return ch->closed ? -EPIPE : -EAGAIN;
}

static bool take_more(oai_consumer_t *consumer)
{
    oai_list_t senders = {NULL, NULL};
    oai_lock(&consumer->ch->lock);
    int err = load(consumer, &senders);
    oai_unlock(&consumer->ch->lock);
    oai_wait_ready_all(&senders);
    return err == 0;
}

// What the task runs.
static void calls(void *arg)
{
    oai_consumer_t *consumer = arg;
    oai_dormant_row(&consumer->dormant, IN_A_ROW);
    for (int i = 0; i < IN_A_ROW; i++) {
        if (consumer->left == 0 && !take_more(consumer))
            return;
        char *elem = consumer->next;
        consumer->next += consumer->elem_size;
        consumer->left--;
        consumer->fn(elem);
        if (!oai_dormant_next(&consumer->dormant))
            return;
        oai_point("a consumer", consumer);
    }
}

oai_rest_t oai_consumer_rest(oai_dormant_t *dormant)
{
    oai_consumer_t *consumer = consumer_of(dormant);
    oa_chan_t *ch = consumer->ch;
    oai_list_t senders = {NULL, NULL};
    int err = 0;
    oai_lock(&ch->lock);
    if (oai_dormant_ending(dormant))
        err = -ECANCELED;
    else if (consumer->left == 0)
        err = load(consumer, &senders);
    ch->resting = err == -EAGAIN ? consumer : NULL;
    consumer->over = err == -EPIPE || err == -ECANCELED;
    oai_unlock(&ch->lock);
    oai_wait_ready_all(&senders);
    if (err == 0)
        return OAI_MORE;
    return err == -EAGAIN ? OAI_RESTS : OAI_OVER;
}

oai_wait_t *oai_consumer_offer(oai_consumer_t *consumer, const void *elem)
{
    consumer->next = consumer->elems;
    consumer->left = 1;
    oai_fifo_copy(consumer->elems, elem, consumer->elem_size);
    oai_wait_t *wait = oai_dormant_wake(&consumer->dormant); // it tells TSan of all before it
    if (wait)
        consumer->ch->resting = NULL;
    return wait;
}

oai_dormant_t *oai_consumer_dismiss(oai_consumer_t *consumer)
{
    if (!oai_dormant_dismiss(&consumer->dormant))
        return NULL;
    consumer->ch->resting = NULL;
    consumer->over = true;
    return &consumer->dormant;
}

bool oai_consumer_cancel(oai_dormant_t *dormant)
{
    oai_consumer_t *consumer = consumer_of(dormant);
    bool dismissed = false;
    oai_lock(&consumer->lock);
    if (consumer->ch) {
        oai_lock(&consumer->ch->lock);
        if (consumer->ch->resting)
            dismissed = oai_consumer_dismiss(consumer) != NULL;
        else if (!consumer->over)
            oai_dormant_cancel(dormant); // what runs is pinned by the channel's lock
        oai_unlock(&consumer->ch->lock);
    }
    oai_unlock(&consumer->lock);
    return dismissed;
}

void oai_consumer_replace(oai_dormant_t *dormant, struct oai_task *call)
{
    oa_chan_t *ch = consumer_of(dormant)->ch;
    oai_lock(&ch->lock);
    dormant->call = call;
    oai_unlock(&ch->lock);
}

void oai_consumer_end(oai_dormant_t *dormant)
{
    oai_consumer_t *consumer = consumer_of(dormant);
    oai_lock(&consumer->lock);
    oai_lock(&consumer->ch->lock);
    consumer->ch->consumer = consumer->ch->resting = NULL;
    oai_unlock(&consumer->ch->lock);
    consumer->ch = NULL;
    oai_unlock(&consumer->lock);
    oai_dormant_destroy(dormant);
    oai_os.free(consumer);
}

// ---- Made ---------------------------------------------------------------------------------------

// Takes the channel's place for a consumer.
static int attach(oa_chan_t *ch, oai_consumer_t *consumer)
{
    oai_lock(&ch->lock);
    bool taken = ch->consumer != NULL;
    if (!taken)
        ch->consumer = consumer;
    oai_unlock(&ch->lock);
    return taken ? -EBUSY : 0;
}

static void detach(oa_chan_t *ch)
{
    oai_lock(&ch->lock);
    ch->consumer = NULL;
    oai_unlock(&ch->lock);
}

// How many elements to take at once.
static size_t at_once(const oa_chan_t *ch)
{
    size_t most = ch->queue.elem_size <= LARGE ? AT_ONCE : 1;
    if (ch->queue.capacity < most)
        most = ch->queue.capacity ? ch->queue.capacity : 1;
    return most;
}

static int consume(oa_chan_t *ch, const oa_spec_t *spec)
{
    size_t elem_size = ch->queue.elem_size, most = at_once(ch);
    size_t bytes = most * elem_size; // no overflow: small ones, or one
    if (__builtin_add_overflow(bytes, sizeof(oai_consumer_t), &bytes))
        return -ENOMEM;
    oai_consumer_t *consumer = oai_os.alloc(bytes);
    if (!consumer)
        return -ENOMEM;
    *consumer = (oai_consumer_t){.fn = spec->fn, .elem_size = elem_size, .at_once = most, .ch = ch};
    int err = attach(ch, consumer);
    if (err == 0) {
        err = oai_dormant_create(&consumer->dormant, spec, calls);
        if (err)
            detach(ch);
    }
    if (err)
        oai_os.free(consumer);
    else
        oai_dormant_begin(&consumer->dormant);
    return err;
}

// Whether only those options are set that a consumer has.
static bool options_ok(const oa_spec_t *spec)
{
    return !spec->copy && !spec->drop && !spec->delay && !spec->latch && !spec->cb && !spec->bp &&
           !spec->sem && !spec->acq && !spec->pinned;
}

int oa_chan_consume_spec(oa_chan_t *ch, const oa_spec_t *given)
{
    oa_spec_t spec;
    int err = oai_options_read(&spec, sizeof spec, given, offsetof(oa_spec_t, arg));
    if (err)
        return err;
    if (spec.task)
        *spec.task = NULL;
    if (!ch || !spec.fn || !options_ok(&spec))
        return -EINVAL;
    oai_point("oa_chan_consume", ch);
    err = consume(ch, &spec);
    oai_point("oa_chan_consume", ch);
    return err;
}
