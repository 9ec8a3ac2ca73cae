// SPDX-License-Identifier: BSD-2-Clause
// group.c - a set of tasks that is waited for, or cancelled, as one.
//
// The number of members stands in one word with a lock bit (word.h); the members themselves are
// linked, so that a cancel finds them. The last member to leave publishes the count of 0, takes
// the cancel back and releases the lock in one store: a waiter that sees it may free the group.
#include "oasync/group.h"

#include <errno.h>

#include "base/assert.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/word.h"

typedef struct group {
    _Atomic uint64_t word; // members, and whether it is cancelled; who may write it: word.h
    oai_list_t members;    // under the word's lock
    oai_waiters_t waiters; // under the word's lock
} group_state_t;

_Static_assert(sizeof(group_state_t) <= sizeof(oa_group_t), "fits what is public");

static group_state_t *state_of(oa_group_t *group)
{
    return (group_state_t *)(void *)group;
}

void oa_group_init(oa_group_t *group)
{
    *group = (oa_group_t)OA_GROUP_INIT;
}

int oai_group_enter(oa_group_t *given, oai_link_t *member)
{
    group_state_t *group = state_of(given);
    uint64_t word = oai_word_lock(&group->word);
    bool open = !(word & OAI_WORD_CANCELLED);
    if (open) {
        oai_list_append(&group->members, member);
        word++;
    }
    oai_word_unlock(&group->word, word, &group->waiters);
    return open ? 0 : -ECANCELED;
}

void oai_group_leave(oa_group_t *given, oai_link_t *member)
{
    group_state_t *group = state_of(given);
    oai_list_t claimed = {NULL, NULL};
    uint64_t word = oai_word_lock(&group->word);
    OAI_ASSERT((word & OAI_WORD_COUNT) != 0 && !oai_list_empty(&group->members));
    oai_list_remove(&group->members, member);
    word--;
    if ((word & OAI_WORD_COUNT) == 0)
        oai_wait_claim_all(&group->waiters, 0, &claimed);
    // Somebody's wait returns now: the group is ready for use again.
    if (!oai_list_empty(&claimed))
        word &= ~OAI_WORD_CANCELLED;
    oai_word_unlock(&group->word, word, &group->waiters);
    oai_wait_ready_all(&claimed);
}

static int wait_empty(group_state_t *group, bool breakable, int64_t deadline)
{
    oai_wait_t wait;
    int err = oai_wait_begin(&wait, breakable);
    if (err)
        return err;
    uint64_t word = oai_word_lock(&group->word);
    bool empty = (word & OAI_WORD_COUNT) == 0;
    if (empty)
        word &= ~OAI_WORD_CANCELLED;
    else if (oai_wait_expired(deadline))
        err = -ETIMEDOUT;
    else
        oai_wait_link(&group->waiters, &wait);
    oai_word_unlock(&group->word, word, &group->waiters);
    if (empty || err)
        return err;
    oai_waits_for("oa_group_wait", group, NULL, true);
    err = oai_wait_park(&wait, deadline);
    if (err) {
        word = oai_word_lock(&group->word);
        oai_wait_unlink(&group->waiters, &wait);
        oai_word_unlock(&group->word, word, &group->waiters);
    }
    return err;
}

int oa_group_wait_until(oa_group_t *group, int64_t deadline)
{
    if (!group)
        return -EINVAL;
    if (oai_task_group() == group)
        return -EDEADLK;
    oai_point("oa_group_wait", group);
    int err = wait_empty(state_of(group), true, deadline);
    oai_point("oa_group_wait", group);
    return err;
}

int oa_group_wait(oa_group_t *group)
{
    int err = oa_group_wait_until(group, OA_FOREVER);
    if (err != -ECANCELED)
        return err;
    oa_group_cancel(group);
    err = wait_empty(state_of(group), false, OA_FOREVER);
    return err ? err : -ECANCELED;
}

int oa_group_cancel(oa_group_t *given)
{
    if (!given)
        return -EINVAL;
    group_state_t *group = state_of(given);
    struct oai_task *dropped = NULL;
    oai_point(__func__, given);
    uint64_t word = oai_word_lock(&group->word);
    for (oai_link_t *member = group->members.head; member; member = member->next)
        dropped = oai_member_cancel(member, dropped);
    oai_word_unlock(&group->word, word | OAI_WORD_CANCELLED, &group->waiters);
    oai_tasks_drop(dropped);
    oai_point(__func__, given);
    return 0;
}

int oa_group_destroy(oa_group_t *given)
{
    if (!given)
        return -EINVAL;
    oai_point(__func__, given);
    group_state_t *group = state_of(given);
    uint64_t word = oai_word_lock(&group->word);
    bool busy = (word & OAI_WORD_COUNT) != 0 || oai_wait_busy(&group->waiters);
    oai_word_unlock(&group->word, word, &group->waiters);
    return busy ? -EBUSY : 0;
}
