// SPDX-License-Identifier: BSD-2-Clause
// consumer.c - a channel that calls a function for each of its elements.
//
// A consumer rests while there is nothing to call: without a stack, uncounted, in no list (dormant.c).
// The sender that finds it at rest copies its element straight into it and queues it. From then on
// its task takes one element after the other until there is none, and rests again: that is decided
// when the task has left its stack, under the channel's lock, so that the next sender may queue it
// at once. It is over when the channel is closed and empty, when it was cancelled, or with its
// coordinator.
//
// Locks: who cancels it holds the lock of its ticket or group, takes `lock`, then the channel's. Only
// `lock` makes it sure that the channel is there: when the consumer has let go of the channel, its
// user may free that.
#include <errno.h>

#include "os/os.h"
#include "sync/channel.h"

// Elements in a row before other tasks have their turn.
enum { AT_ONCE = 64 };

struct oai_consumer {
    oai_dormant_t dormant; // first
    oa_fn *fn;             // constant
    oai_lock_t lock;       // guards `ch`
    oa_chan_t *ch;         // NULL: let go of
    // Under the channel's lock, all but the element itself, which is whose who has set `loaded` or
    // found it so.
    bool rests;
    bool cancelled;
    bool over;   // nobody but its end touches it any more
    bool loaded; // `elem` is to be called next
    _Alignas(16) unsigned char elem[];
};

static oai_consumer_t *consumer_of(oai_dormant_t *dormant)
{
    return (oai_consumer_t *)(void *)dormant;
}

// Under the channel's lock: the next element, if there is one. As oai_chan_try_recv().
static int load(oai_consumer_t *consumer, oai_wait_t **wake)
{
    if (consumer->cancelled)
        return -ECANCELED;
    int err = oai_chan_try_recv(consumer->ch, consumer->elem, wake);
    consumer->loaded = err == 0;
    return err;
}

static bool take_next(oai_consumer_t *consumer)
{
    oai_wait_t *wake = NULL;
    oai_lock(&consumer->ch->lock);
    int err = load(consumer, &wake);
    oai_unlock(&consumer->ch->lock);
    if (wake)
        oai_wait_ready(wake);
    return err == 0;
}

// What the task runs. Nobody else touches `loaded` while it does not rest.
static void calls(void *arg)
{
    oai_consumer_t *consumer = arg;
    for (int left = AT_ONCE; left > 0; left--) {
        if (!consumer->loaded && !take_next(consumer))
            return;
        consumer->loaded = false;
        consumer->fn(consumer->elem);
        if (!oai_dormant_next(&consumer->dormant))
            return;
    }
}

oai_rest_t oai_consumer_rest(oai_dormant_t *dormant)
{
    oai_consumer_t *consumer = consumer_of(dormant);
    oa_chan_t *ch = consumer->ch;
    oai_wait_t *wake = NULL;
    oai_lock(&ch->lock);
    consumer->loaded = false; // of a call that was cancelled before it began
    int err = oai_dormant_ending(dormant) ? -ECANCELED : load(consumer, &wake);
    consumer->rests = err == -EAGAIN;
    consumer->over = err == -EPIPE || err == -ECANCELED;
    oai_unlock(&ch->lock);
    if (wake)
        oai_wait_ready(wake);
    if (err == 0)
        return OAI_MORE;
    return err == -EAGAIN ? OAI_RESTS : OAI_OVER;
}

oai_wait_t *oai_consumer_offer(oai_consumer_t *consumer, const void *elem)
{
    oai_wait_t *wait = consumer->rests ? oai_dormant_wake(&consumer->dormant) : NULL;
    if (wait) {
        consumer->rests = false;
        consumer->loaded = true;
        oai_fifo_copy(consumer->elem, elem, consumer->ch->queue.elem_size);
    }
    return wait;
}

oai_dormant_t *oai_consumer_dismiss(oai_consumer_t *consumer)
{
    if (!consumer->rests || !oai_dormant_wake(&consumer->dormant))
        return NULL;
    consumer->rests = false;
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
        consumer->cancelled = true;
        dismissed = oai_consumer_dismiss(consumer) != NULL;
        if (!consumer->over && !consumer->rests)
            oai_dormant_cancel(dormant); // what runs is pinned by the channel's lock
        oai_unlock(&consumer->ch->lock);
    }
    oai_unlock(&consumer->lock);
    return dismissed;
}

void oai_consumer_end(oai_dormant_t *dormant)
{
    oai_consumer_t *consumer = consumer_of(dormant);
    oai_lock(&consumer->lock);
    oai_lock(&consumer->ch->lock);
    consumer->ch->consumer = NULL;
    oai_unlock(&consumer->ch->lock);
    consumer->ch = NULL;
    oai_unlock(&consumer->lock);
    oai_dormant_destroy(dormant);
    oai_os.free(consumer);
}

// ---- Made -------------------------------------------------------------------------------------------

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

static int consume(oa_chan_t *ch, const oa_spec_t *spec)
{
    oai_consumer_t *consumer = oai_os.alloc(sizeof *consumer + ch->queue.elem_size);
    if (!consumer)
        return -ENOMEM;
    *consumer = (oai_consumer_t){.fn = spec->fn, .ch = ch};
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
    return ch && spec.fn && options_ok(&spec) ? consume(ch, &spec) : -EINVAL;
}
