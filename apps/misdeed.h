/* misdeed.h - every way in which an app's code can go wrong, by key and by name. */
#ifndef APPS_MISDEED_H
#define APPS_MISDEED_H
#include <tandem/call.h>

struct misdeed {
    char key;
    const char *name;
    void (*commit)(tdm_call *call); /* does not return; "kill" does, and takes effect at the next wait */
};

#define MISDEED_KEYS "1234567890"

/* By key, or by name; NULL: there is none. */
const struct misdeed *misdeed_by_key(int key);
const struct misdeed *misdeed_by_name(const char *name);

#endif
