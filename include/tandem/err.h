/* err.h - one table of error codes for all of Tandem.
 *
 * A function that can fail returns zero or a positive value on success and one of these,
 * always negative, on failure. Codes above -4000 are the negated errno of the system call
 * that failed; the rest are ours. */
#ifndef TANDEM_ERR_H
#define TANDEM_ERR_H
#include <errno.h>

#define TDM_ERR_MAP(X)                                      \
    X(ENOMEM, -ENOMEM, "out of memory")                     \
    X(EINVAL, -EINVAL, "invalid argument")                  \
    X(ENOPROC, -4001, "no such actor")                      \
    X(EFULL, -4002, "mailbox full")                         \
    X(EHANGUP, -4003, "the call has ended")                 \
    X(ETIMEOUT, -4004, "time ran out")                      \
    X(ENOTSUP, -4005, "not supported here")                 \
    X(ESTOP, -4006, "the actor was told to stop")           \
    X(EEXIST, -4007, "already exists")                      \
    X(ENOTFOUND, -4008, "not found")                        \
    X(ECONN, -4009, "connection lost or refused")           \
    X(EAUTH, -4010, "credentials refused")                  \
    X(EPROTO, -4011, "the peer broke the protocol")         \
    X(ETOOBIG, -4012, "larger than the limit")              \
    X(ESTATE, -4013, "not possible in this state")          \
    X(ECONFIG, -4014, "configuration refused")              \
    X(EBUSY, -4015, "too much work waiting")                \
    X(ESYNTAX, -4016, "malformed input")                    \
    X(ETLS, -4017, "TLS handshake or certificate refused")  \
    X(EREFUSED, -4018, "the peer refused the request")      \
    X(EPEER, -4019, "the peer failed")                      \
    X(EPLAYBACK, -4020, "playback failed")                  \
    X(EFAULT, -4021, "a fault was contained")               \
    X(EASSERT, -4022, "assertion failed")                   \
    X(ESTUCK, -4023, "callback ran past its budget")        \
    X(EOVERLOAD, -4024, "mailbox overflow")                 \
    X(ENOCONN, -4025, "the connection to the peer is down") \
    X(ELIMIT, -4026, "restart limit reached")               \
    X(ESHUTDOWN, -4027, "shutting down")                    \
    X(EPRESENT, -4028, "a spec with this id is there already")

#define X(name, value, text) TDM_##name = (value),
enum tdm_err { TDM_OK = 0, TDM_ERR_MAP(X) };
#undef X

/* Static text for any int, never NULL; errno values get the system's words.
 * Threads: any. */
const char *tdm_strerror(int err);

/* The code's name ("ENOPROC"), for logs and tests; "E?" for a value not in the table. */
const char *tdm_errname(int err);

#endif
