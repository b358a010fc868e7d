#include "ari/gate.h"
#include "ari_fixture.h"
#include "tandem/err.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(ari_gate, .timeout = 60);

struct fixture {
    struct counted mem;
    struct gate *gate;
};

static void open_fixture(struct fixture *f, size_t held_max)
{
    counted_init(&f->mem);
    cr_assert(eq(int, gate_new(&f->mem.env, held_max, &f->gate), TDM_OK));
}

static enum gate_way pass(struct fixture *f, const char *text)
{
    return gate_pass(f->gate, text, strlen(text));
}

Test(ari_gate, frames_wait_in_order_until_the_actor_lets_go)
{
    struct fixture f;

    open_fixture(&f, 1000);
    cr_assert(eq(int, pass(&f, "one"), GATE_HELD));
    cr_assert(eq(int, pass(&f, "two"), GATE_HELD));
    cr_assert(not(gate_let_go(f.gate)), "something waits");

    struct gate_frame *first = gate_take(f.gate), *second = first->next;

    cr_assert(eq(int, memcmp(first->data, "one", 3), 0));
    cr_assert(eq(int, memcmp(second->data, "two", 3), 0));
    cr_assert(eq(ptr, second->next, NULL));
    gate_frame_free(f.gate, first);
    gate_frame_free(f.gate, second);
    cr_assert(gate_let_go(f.gate));
    cr_assert(eq(int, pass(&f, "three"), GATE_OPEN));
    cr_assert(eq(ptr, gate_take(f.gate), NULL));
    gate_free(f.gate);
    cr_assert(eq(i64, f.mem.out, 0));
}

Test(ari_gate, what_waits_is_bounded_in_bytes)
{
    struct fixture f;

    open_fixture(&f, 10);
    cr_assert(eq(int, pass(&f, "12345"), GATE_HELD));
    cr_assert(eq(int, pass(&f, "123456"), GATE_FULL));
    cr_assert(eq(int, pass(&f, "12345"), GATE_HELD));
    cr_assert(eq(int, pass(&f, "1"), GATE_FULL));
    cr_assert(eq(int, gate_pass(f.gate, "12345678901", 11), GATE_FULL), "larger than the whole room");

    struct gate_frame *frame = gate_take(f.gate);

    gate_frame_free(f.gate, frame->next);
    cr_assert(eq(int, pass(&f, "12345"), GATE_HELD), "a freed frame makes room");
    gate_frame_free(f.gate, frame);
    gate_free(f.gate);
    cr_assert(eq(i64, f.mem.out, 0), "frames that still waited went with the gate");
}

Test(ari_gate, without_memory_a_frame_is_refused_and_nothing_is_lost)
{
    struct fixture f;

    open_fixture(&f, 1000);
    cr_assert(eq(int, pass(&f, "one"), GATE_HELD));
    f.mem.fail_at = 1;
    cr_assert(eq(int, pass(&f, "two"), GATE_FULL));
    gate_free(f.gate);
    cr_assert(eq(i64, f.mem.out, 0));

    struct gate *none = NULL;

    cr_assert(eq(int, gate_new(&f.mem.env, 1, &none), TDM_ENOMEM));
    cr_assert(eq(ptr, none, NULL));
    gate_free(NULL);
}

/* ---- two threads: the numbers that come out, first by the actor and then by the reader, have no gap ---- */

enum { FRAMES = 200000 };

struct race {
    struct fixture f;
    uint32_t routed; /* whoever has the right to route adds here, without any lock: that is the point */
    bool in_order;
};

static void route(struct race *r, const char *data)
{
    uint32_t n;

    memcpy(&n, data, sizeof n);
    r->in_order &= n == r->routed;
    r->routed++;
}

static void *reader(void *arg)
{
    struct race *r = arg;

    for (uint32_t n = 0; n < FRAMES; n++) {
        char data[sizeof n];

        memcpy(data, &n, sizeof n);
        if (gate_pass(r->f.gate, data, sizeof data) == GATE_OPEN)
            route(r, data);
    }
    return NULL;
}

static void drain(struct race *r)
{
    do {
        for (struct gate_frame *f = gate_take(r->f.gate), *next; f != NULL; f = next) {
            next = f->next;
            route(r, f->data);
            gate_frame_free(r->f.gate, f);
        }
    } while (!gate_let_go(r->f.gate));
}

Test(ari_gate, no_frame_is_lost_or_passed_by_another_when_the_right_changes_hands)
{
    for (int round = 0; round < 20; round++) {
        struct race r = { .in_order = true };
        pthread_t thread;

        open_fixture(&r.f, (size_t)1 << 30);
        cr_assert(eq(int, pthread_create(&thread, NULL, reader, &r), 0));
        drain(&r);
        pthread_join(thread, NULL);
        cr_assert(r.in_order);
        cr_assert(eq(u32, r.routed, FRAMES));
        gate_free(r.f.gate);
        cr_assert(eq(i64, r.f.mem.out, 0));
    }
}
