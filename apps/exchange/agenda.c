/* agenda.c - a binary heap ordered by (time, order of setting). Each timer knows its place in it, so
 * that cancelling needs no search. Touched by the model's owner only. */
#include "agenda.h"

#include <stdbool.h>
#include <string.h>

#include <tandem/env.h>
#include <tandem/err.h>

void ex_agenda_init(struct ex_agenda *a, struct tdm_env *env)
{
    *a = (struct ex_agenda){ .env = env };
}

void ex_agenda_fini(struct ex_agenda *a)
{
    if (a->heap != NULL)
        a->env->free(a->env, a->heap, a->room * sizeof *a->heap);
    a->heap = NULL;
    a->count = a->room = 0;
}

static bool earlier(const struct ex_timer *a, const struct ex_timer *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void put_at(struct ex_agenda *a, size_t place, struct ex_timer *t)
{
    a->heap[place] = t;
    t->place = place;
}

static void sift_up(struct ex_agenda *a, struct ex_timer *t)
{
    size_t place = t->place;

    while (place > 1 && earlier(t, a->heap[place / 2])) {
        put_at(a, place, a->heap[place / 2]);
        place /= 2;
    }
    put_at(a, place, t);
}

static void sift_down(struct ex_agenda *a, struct ex_timer *t)
{
    size_t place = t->place;

    for (size_t child = place * 2; child <= a->count; child = place * 2) {
        if (child < a->count && earlier(a->heap[child + 1], a->heap[child]))
            child++;
        if (!earlier(a->heap[child], t))
            break;
        put_at(a, place, a->heap[child]);
        place = child;
    }
    put_at(a, place, t);
}

static int agenda_grow(struct ex_agenda *a)
{
    size_t room = a->room == 0 ? 64 : a->room * 2;
    struct ex_timer **heap = a->env->alloc(a->env, room * sizeof *heap);

    if (heap == NULL)
        return TDM_ENOMEM;
    if (a->heap != NULL) {
        memcpy(heap, a->heap, a->room * sizeof *heap);
        a->env->free(a->env, a->heap, a->room * sizeof *heap);
    }
    a->heap = heap;
    a->room = room;
    return TDM_OK;
}

int ex_agenda_set(struct ex_agenda *a, struct ex_timer *t, uint64_t at_ns)
{
    ex_agenda_cancel(a, t);
    if (a->count + 1 >= a->room && agenda_grow(a) < 0)
        return TDM_ENOMEM;
    t->at_ns = at_ns;
    t->order = ++a->order;
    a->count++;
    put_at(a, a->count, t);
    sift_up(a, t);
    return TDM_OK;
}

void ex_agenda_cancel(struct ex_agenda *a, struct ex_timer *t)
{
    size_t place = t->place;

    if (place == 0)
        return;
    struct ex_timer *last = a->heap[a->count--];
    t->place = 0;
    if (last == t)
        return;
    put_at(a, place, last);
    sift_up(a, last);
    sift_down(a, last);
}

uint64_t ex_agenda_next(const struct ex_agenda *a)
{
    return a->count == 0 ? TDM_FOREVER : a->heap[1]->at_ns;
}

struct ex_timer *ex_agenda_due(struct ex_agenda *a, uint64_t now_ns)
{
    if (a->count == 0 || a->heap[1]->at_ns > now_ns)
        return NULL;
    struct ex_timer *t = a->heap[1];
    ex_agenda_cancel(a, t);
    return t;
}
