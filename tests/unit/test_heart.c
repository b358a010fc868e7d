/* test_heart.c - a program under its heart, as two real processes: what heart_child does, and what is then seen. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heart.h"

struct program {
    pid_t pid; /* of the heart */
    int terminal;
    FILE *says;
    char log[65536];
};

/* In a session of its own, so that the terminal's signals reach it and nobody else. */
static _Noreturn void be_program(const char *const args[], int says, int terminal)
{
    setsid();
    if (terminal >= 0)
        ioctl(terminal, TIOCSCTTY, 0);
    dup2(says, 2);
    execv(HEART_CHILD, (char *const *)args);
    _exit(96);
}

/* Only one that is to be found silent has little time to answer: the machine may be busy. */
static void start(struct program *p, const char *way, const char *arg, const char *deaths,
                  const char *start_ms)
{
    const char *misses = strcmp(way, "hang") == 0 ? "20" : "100000";
    const char *const args[] = { "heart_child", way, arg, deaths, start_ms, misses, NULL };
    int says[2], terminal;

    memset(p, 0, sizeof *p);
    cr_assert(pipe2(says, O_CLOEXEC) == 0 && openpty(&p->terminal, &terminal, NULL, NULL, NULL) == 0);
    fcntl(p->terminal, F_SETFD, FD_CLOEXEC);
    p->pid = fork();
    cr_assert(p->pid >= 0);
    if (p->pid == 0)
        be_program(args, says[1], terminal);
    close(says[1]);
    close(terminal);
    p->says = fdopen(says[0], "r");
}

/* Read on until a line with this text has come, or the end. */
static bool says(struct program *p, const char *text)
{
    size_t used = strlen(p->log);

    while (fgets(p->log + used, (int)(sizeof p->log - used), p->says) != NULL) {
        if (strstr(p->log + used, text) != NULL)
            return true;
        used += strlen(p->log + used);
    }
    return false;
}

static int times(const struct program *p, const char *text)
{
    int n = 0;

    for (const char *at = p->log; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

/* Its end, and that of everybody who could still write to its log. */
static int status_of(struct program *p)
{
    int status;

    says(p, "nothing that anybody says");
    cr_assert(waitpid(p->pid, &status, 0) == p->pid);
    fclose(p->says);
    close(p->terminal);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static pid_t number_after(const struct program *p, const char *text)
{
    const char *at = NULL;

    for (const char *next = p->log; (next = strstr(next, text)) != NULL; next++)
        at = next;
    return at != NULL ? (pid_t)atoi(at + strlen(text)) : 0;
}

#define check_times(p, n, text)                                                                         \
    cr_assert(times((p), (text)) == (n), "%d times " text ", not %d, in:\n%s", times((p), (text)), (n), \
              (p)->log)
#define check_status(p, n) cr_assert(eq(int, status_of(p), (n)), "log:\n%s", (p)->log)

static struct program p;

Test(heart, a_program_that_returns_is_over_with_its_status, .timeout = 60)
{
    start(&p, "return", "7", "3", "30000");
    check_status(&p, 7);
    check_times(&p, 1, "event=heart.child ");
    check_times(&p, 0, "heart.died");
}

Test(heart, a_status_that_says_not_now_ends_the_first_life_too, .timeout = 60)
{
    start(&p, "return", "3", "3", "30000");
    check_status(&p, 3);
    check_times(&p, 1, "event=heart.child ");
}

Test(heart, a_killed_program_is_started_again, .timeout = 60)
{
    start(&p, "die", "9", "3", "30000");
    check_status(&p, 0);
    check_times(&p, 2, "event=heart.child ");
    check_times(&p, 1, "why=signal signal=9 status=0 core=no ");
    check_times(&p, 1, "restarts=0 then=restart delay_ms=0");
}

Test(heart, exit_without_a_return_is_a_death, .timeout = 60)
{
    start(&p, "exit", "0", "3", "30000");
    check_status(&p, 0);
    check_times(&p, 2, "event=heart.child ");
    check_times(&p, 1, "why=exit signal=0 status=0 ");
}

Test(heart, a_later_life_that_cannot_start_is_tried_again, .timeout = 60)
{
    start(&p, "fail_to_start", "3", "5", "30000");
    check_status(&p, 0);
    check_times(&p, 4, "event=heart.child ");
    check_times(&p, 2, "why=exit signal=0 status=3 ");
}

Test(heart, quick_deaths_are_slowed_down_and_then_given_up, .timeout = 60)
{
    start(&p, "always_die", "0", "4", "30000");
    check_status(&p, 9);
    check_times(&p, 5, "event=heart.died");
    check_times(&p, 1, "then=restart delay_ms=0");
    check_times(&p, 1, "then=restart delay_ms=1");
    check_times(&p, 1, "then=restart delay_ms=2");
    check_times(&p, 1, "then=restart delay_ms=4");
    check_times(&p, 1, "then=give_up");
    check_times(&p, 1, "event=heart.gave_up deaths=5 ");
}

Test(heart, a_program_whose_workers_are_stuck_is_aborted_and_started_again, .timeout = 60)
{
    start(&p, "hang", "0", "3", "30000");
    check_status(&p, 5);
    check_times(&p, 1, "event=heart.no_answer");
    check_times(&p, 1, "why=no_answer ");
    check_times(&p, 1, "Aborted (signal 6): this process ends"); /* the report */
}

Test(heart, a_program_that_never_comes_to_life_is_started_again, .timeout = 60)
{
    start(&p, "never_start", "0", "3", "30");
    check_status(&p, 6);
    check_times(&p, 1, "why=\"it did not come to life in time\"");
    check_times(&p, 1, "why=no_answer signal=6");
}

Test(heart, a_program_that_does_not_come_to_its_end_is_killed, .timeout = 60)
{
    start(&p, "hang_at_end", "0", "1", "30000");
    check_status(&p, 9);
    check_times(&p, 2, "why=\"it does not come to its end\"");
}

Test(heart, a_signal_goes_on_to_the_program_whose_status_counts, .timeout = 60)
{
    static const int each[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };

    for (size_t i = 0; i < 4; i++) {
        char line[64];

        snprintf(line, sizeof line, "signal=%d sent=1", each[i]);
        start(&p, "wait", "1", "3", "30000");
        cr_assert(says(&p, "ready"));
        kill(p.pid, each[i]);
        check_status(&p, 1);
        check_times(&p, 1, "sent=");
        cr_assert(times(&p, line) == 1, "%s", p.log);
    }
}

Test(heart, a_program_that_is_killed_while_it_stops_stays_dead, .timeout = 60)
{
    start(&p, "wait", "3", "3", "30000");
    cr_assert(says(&p, "ready"));
    kill(p.pid, SIGTERM);
    cr_assert(says(&p, "signal=15"));
    kill(number_after(&p, "ready pid="), SIGKILL);
    check_status(&p, 128 + SIGKILL);
    check_times(&p, 1, "then=end");
    check_times(&p, 1, "event=heart.child ");
}

Test(heart, the_terminals_interrupt_reaches_the_program_once, .timeout = 60)
{
    start(&p, "wait", "7", "3", "30000");
    cr_assert(says(&p, "ready"));
    cr_assert(write(p.terminal, "\003", 1) == 1);
    cr_assert(says(&p, "signal=2 sent=0"));
    kill(p.pid, SIGUSR1); /* behind it, if it was sent on */
    check_status(&p, 3);
    check_times(&p, 1, "signal=2 ");
}

Test(heart, a_program_without_its_heart_goes_on_and_says_so, .timeout = 60)
{
    int status;

    start(&p, "wait", "99", "3", "30000"); /* the terminal hangs up when its session ends */
    cr_assert(says(&p, "ready"));
    pid_t child = number_after(&p, "ready pid=");
    kill(p.pid, SIGKILL);
    cr_assert(waitpid(p.pid, &status, 0) == p.pid);
    cr_assert(says(&p, "event=heart.lost"));
    kill(child, SIGUSR1);
    cr_assert(says(&p, "signal=10 sent=0"), "%s", p.log);
    fclose(p.says);
    close(p.terminal);
}

static int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    cr_assert(d != NULL);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

Test(heart, many_lives_leave_no_file_open_and_no_zombie, .timeout = 60)
{
    char path[64], line[256] = "";
    int before = 0;

    start(&p, "wait", "1", "900", "30000");
    cr_assert(says(&p, "ready"));
    snprintf(path, sizeof path, "/proc/%d/fd", (int)p.pid);
    before = entries(path);
    for (int i = 0; i < 20; i++) {
        kill(number_after(&p, "ready pid="), SIGKILL);
        cr_assert(says(&p, "ready"), "%s", p.log);
    }
    cr_assert(eq(int, entries(path), before));
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)p.pid, (int)p.pid);
    FILE *f = fopen(path, "re");
    cr_assert(f != NULL && fgets(line, sizeof line, f) != NULL);
    fclose(f);
    cr_assert(eq(int, atoi(line), number_after(&p, "ready pid=")));
    cr_assert(strchr(line, ' ') == NULL || strchr(line, ' ')[1] == '\0', "one child, not %s", line);
    kill(p.pid, SIGTERM);
    check_status(&p, 1);
}

/* ---- the plan alone -------------------------------------------------------------------------- */

static struct heart_plan plan;

static uint32_t delay_after(uint64_t now_ms, uint64_t life_ms)
{
    uint32_t delay = 77777;

    cr_assert(heart_plan_death(&plan, now_ms, life_ms, &delay));
    return delay;
}

Test(heart_plan, delays_grow_over_quick_deaths_and_begin_anew_after_a_long_life)
{
    static const uint32_t delays[] = { 0, 100, 200, 400, 800, 1600, 3200, 6400, 10000 };

    heart_plan_init(&plan, &(struct tdm_heart_cfg){ .deaths = 100 });
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 9; i++)
            cr_assert(eq(u32, delay_after(1000 * (uint64_t)i, 4999), delays[i]));
        cr_assert(eq(u32, delay_after(20000, 5000), 0));
    }
}

Test(heart_plan, only_quick_deaths_within_the_period_count)
{
    uint32_t delay;

    heart_plan_init(&plan, &(struct tdm_heart_cfg){ .deaths = 2, .period_ms = 1000 });
    for (uint64_t t = 0; t < 100000; t += 501) /* never three within the period */
        delay_after(t, 10);
    for (uint64_t t = 100000; t < 100100; t++)
        delay_after(t, 5000);
    delay_after(200000, 10);
    delay_after(200500, 10);
    cr_assert(not(heart_plan_death(&plan, 201000, 10, &delay)), "a time exactly one period old counts");
}

Test(heart_plan, more_deaths_than_there_is_room_for_are_refused)
{
    cr_assert(eq(int, heart_plan_init(&plan, &(struct tdm_heart_cfg){ .deaths = HEART_DEATHS_MAX + 1 }),
                 TDM_EINVAL));
    cr_assert(eq(int, heart_plan_init(&plan, &(struct tdm_heart_cfg){ .deaths = HEART_DEATHS_MAX }), TDM_OK));
}
