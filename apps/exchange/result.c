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

size_t exchange_result(char *buf, size_t bytes, const struct exchange_counters *c)
{
    bool known = c->receipts > 0 || c->placed == 0;
    char n[6][24];
    int length = snprintf(
        buf, bytes,
        "{\"calls\":%" PRIu64
        ",\"actors_started\":%s,\"actors_ended\":%s,\"restarted\":%s,\"events_sent\":%" PRIu64
        ",\"events_delivered\":%s,\"lost\":%s,\"out_of_order\":%s,\"ended\":%" PRIu64 ",\"refused\":%" PRIu64
        ",\"missed_while_away\":%" PRIu64 ",\"requests\":%" PRIu64
        ",\"injected\":{\"dropped_connections\":%" PRIu64 ",\"duplicated\":%" PRIu64
        ",\"disordered\":%" PRIu64 ",\"broken_frames\":%" PRIu64 ",\"held_in_freeze\":%" PRIu64 "}}",
        c->placed, told(n[0], sizeof n[0], known, c->actors_started),
        told(n[1], sizeof n[1], known, c->actors_ended), told(n[2], sizeof n[2], known, c->restarted),
        c->events_sent, told(n[3], sizeof n[3], known, c->delivered), told(n[4], sizeof n[4], known, c->lost),
        told(n[5], sizeof n[5], known, c->out_of_order), c->ended, c->refused, c->missed_while_away,
        c->requests, c->dropped_connections, c->duplicated, c->disordered, c->broken_frames,
        c->held_in_freeze);

    return length < 0 ? 0 : (size_t)length;
}

bool exchange_good(const struct exchange_counters *c)
{
    /* A reset, broken frames and silence lose what was on the way; a swap shows as a gap and a step back. */
    bool may_lose = c->dropped_connections > 0 || c->broken_frames > 0 || c->held_in_freeze > 0;

    return (may_lose || c->lost <= c->disordered) && c->out_of_order <= c->disordered + c->duplicated;
}
