/* env_sim_net.h - the socket members of the deterministic environment. See env_sim_net.c. */
#ifndef RUNTIME_ENV_SIM_NET_H
#define RUNTIME_ENV_SIM_NET_H
#include "tandem/env.h"

int env_sim_net_connect(struct tdm_env *env, const struct sockaddr *addr, socklen_t bytes);
int env_sim_net_listen(struct tdm_env *env, const struct sockaddr *addr, socklen_t bytes);
int env_sim_net_accept(struct tdm_env *env, int fd);
int env_sim_net_port(struct tdm_env *env, int fd);
int env_sim_net_error(struct tdm_env *env, int fd);
ssize_t env_sim_net_read(struct tdm_env *env, int fd, void *buf, size_t bytes);
ssize_t env_sim_net_writev(struct tdm_env *env, int fd, const struct iovec *iov, int count);
void env_sim_net_close(struct tdm_env *env, int fd, bool abort);

int env_sim_net_poller_new(struct tdm_env *env, struct tdm_poller **ret);
void env_sim_net_poller_free(struct tdm_env *env, struct tdm_poller *p);
int env_sim_net_poller_set(struct tdm_env *env, struct tdm_poller *p, int fd, uint32_t events, void *udata);
int env_sim_net_poller_wait(struct tdm_env *env, struct tdm_poller *p, struct tdm_poll_event *out, int max,
                            uint64_t deadline_ns);
void env_sim_net_poller_wake(struct tdm_env *env, struct tdm_poller *p);

int env_sim_net_resolve(struct tdm_env *env, const char *host, uint16_t port, struct sockaddr_storage *out,
                        int max);

/* Free the network of a world that ends, sockets left open included. Fine when there is none. */
void env_sim_net_free(struct tdm_env *env);

#endif
