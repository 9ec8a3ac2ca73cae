// SPDX-License-Identifier: BSD-2-Clause
// list.h - an intrusive doubly linked list; all-zero bytes are an empty one.
//
// Owns:    nothing: links stand in what they link, and the list in its owner, whose lock guards
//          both.
// Callers: anybody who holds that lock.
#ifndef OAI_BASE_LIST_H
#define OAI_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct oai_link {
    struct oai_link *prev, *next;
} oai_link_t;

typedef struct oai_list {
    oai_link_t *head, *tail;
} oai_list_t;

// The struct that holds `link_` as its member `member_`.
#define oai_container(link_, type_, member_)                                                       \
    ((type_ *)(void *)((char *)(link_)-offsetof(type_, member_)))

static inline bool oai_list_empty(const oai_list_t *list)
{
    return list->head == NULL;
}

static inline void oai_list_append(oai_list_t *list, oai_link_t *link)
{
    link->prev = list->tail;
    link->next = NULL;
    if (list->tail)
        list->tail->next = link;
    else
        list->head = link;
    list->tail = link;
}

static inline void oai_list_prepend(oai_list_t *list, oai_link_t *link)
{
    link->prev = NULL;
    link->next = list->head;
    if (list->head)
        list->head->prev = link;
    else
        list->tail = link;
    list->head = link;
}

static inline void oai_list_remove(oai_list_t *list, oai_link_t *link)
{
    if (link->prev)
        link->prev->next = link->next;
    else
        list->head = link->next;
    if (link->next)
        link->next->prev = link->prev;
    else
        list->tail = link->prev;
}

// Takes the first link out; NULL when there is none.
static inline oai_link_t *oai_list_pop(oai_list_t *list)
{
    oai_link_t *link = list->head;
    if (link) {
        list->head = link->next;
        if (link->next)
            link->next->prev = NULL;
        else
            list->tail = NULL;
    }
    return link;
}

#endif
