/* greeter.c - the smallest program that embeds Tandem: one actor, one message. */
#include <stdio.h>
#include <tandem/runtime.h>

static int greet(tdm_self *self, void *state, struct tdm_msg *msg)
{
    (void)self, (void)state;
    printf("hello, %.*s\n", (int)msg->bytes, (const char *)tdm_msg_view(msg));
    return TDM_STOP; /* the actor ends with `normal` */
}

static const struct tdm_behaviour greeter = { .name = "greeter", .handle = greet };

int main(void)
{
    struct tdm_runtime *rt = NULL;
    tdm_pid pid;
    int err = tdm_runtime_new(&rt, &(struct tdm_runtime_cfg){ .workers = 1 });

    if (err == TDM_OK)
        err = tdm_spawn(rt, &(struct tdm_spawn_cfg){ .behaviour = &greeter }, &pid);
    if (err == TDM_OK)
        err = tdm_send(rt, pid, tdm_msg_copy(rt, TDM_MSG_USER, "world", 5));
    if (err == TDM_OK)
        err = tdm_runtime_wait(rt, pid, 5000);
    if (err != TDM_OK)
        fprintf(stderr, "greeter: %s\n", tdm_strerror(err));
    tdm_runtime_free(rt);
    return err == TDM_OK ? 0 : 1;
}
