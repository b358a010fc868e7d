/* result.c - what a run amounts to, in one line and one yes or no. */
#include "exchange.h"

#include <inttypes.h>
#include <stdio.h>

/* A number, or null where nothing was told. */
static const char *told(char *buf, size_t bytes, bool known, uint64_t n)
{
    if (known)
        snprintf(buf, bytes, "%" PRIu64, n);
    return known ? buf : "null";
}

static const char *audit_words(char *buf, size_t bytes, const struct exchange_counters *c)
{
    const struct audit_counters *a = &c->audit;

    *buf = '\0';
    if (c->audited)
        snprintf(buf, bytes,
                 ",\"chaos\":{\"beats\":%" PRIu64 ",\"faults\":%" PRIu64 ",\"resets\":%" PRIu64
                 ",\"silences\":%" PRIu64 "},\"audit\":{\"good\":%s,\"calls\":%" PRIu64 ",\"sent\":%" PRIu64
                 ",\"taken\":%" PRIu64 ",\"excused\":%" PRIu64 ",\"begun\":%" PRIu64 ",\"restarted\":%" PRIu64
                 ",\"processes\":%" PRIu64 ",\"faults_taken\":%" PRIu64 ",\"slowest_ms\":%" PRIu64
                 ",\"two_at_once\":%" PRIu64 ",\"out_of_order\":%" PRIu64 ",\"doubled\":%" PRIu64
                 ",\"lost\":%" PRIu64 ",\"unserved\":%" PRIu64 ",\"not_restarted\":%" PRIu64
                 ",\"outlived\":%" PRIu64 ",\"abandoned\":%" PRIu64 ",\"unknown\":%" PRIu64
                 ",\"untold\":%" PRIu64 "}",
                 c->beats, c->faults, c->resets, c->silences, audit_good(a) ? "true" : "false", a->calls,
                 a->sent, a->taken, a->excused, a->begun, a->restarted, a->runs, a->faults,
                 a->slowest_us / 1000, a->two_at_once, a->out_of_order, a->doubled, a->lost, a->unserved,
                 a->not_restarted, a->outlived, a->abandoned, a->unknown, a->untold);
    return buf;
}

size_t exchange_result(char *buf, size_t bytes, const struct exchange_counters *c)
{
    bool known = c->receipts > 0 || c->placed == 0;
    char n[6][24];
    char audit[900];
    int length = snprintf(
        buf, bytes,
        "{\"calls\":%" PRIu64
        ",\"actors_started\":%s,\"actors_ended\":%s,\"restarted\":%s,\"events_sent\":%" PRIu64
        ",\"events_delivered\":%s,\"lost\":%s,\"out_of_order\":%s,\"ended\":%" PRIu64 ",\"refused\":%" PRIu64
        ",\"missed_while_away\":%" PRIu64 ",\"requests\":%" PRIu64
        ",\"injected\":{\"dropped_connections\":%" PRIu64 ",\"duplicated\":%" PRIu64
        ",\"disordered\":%" PRIu64 ",\"broken_frames\":%" PRIu64 ",\"held_in_freeze\":%" PRIu64 "}%s}",
        c->placed, told(n[0], sizeof n[0], known, c->actors_started),
        told(n[1], sizeof n[1], known, c->actors_ended), told(n[2], sizeof n[2], known, c->restarted),
        c->events_sent, told(n[3], sizeof n[3], known, c->delivered), told(n[4], sizeof n[4], known, c->lost),
        told(n[5], sizeof n[5], known, c->out_of_order), c->ended, c->refused, c->missed_while_away,
        c->requests, c->dropped_connections, c->duplicated, c->disordered, c->broken_frames,
        c->held_in_freeze, audit_words(audit, sizeof audit, c));

    return length < 0 ? 0 : (size_t)length;
}

bool exchange_good(const struct exchange_counters *c)
{
    /* A reset, broken frames and silence lose what was on the way; a swap shows as a gap and a step back. */
    if (c->audited && !audit_good(&c->audit))
        return false;
    bool may_lose = c->dropped_connections > 0 || c->broken_frames > 0 || c->held_in_freeze > 0;

    return (may_lose || c->lost <= c->disordered) && c->out_of_order <= c->disordered + c->duplicated;
}
