/* A clock that runs fast, for a whole process: LD_PRELOADed into the daemon by clock.py.

   The wall clock runs WALL times as fast from a given moment on, and may be stepped while the process runs; the clock
   that measures durations (monotonic), and with it everything that waits, runs WAIT times as fast and never steps.
   libfaketime 0.9.10 does not know sem_clockwait, by which Python 3.11 waits for its locks, and steps both clocks. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL
#define HOLD_NS 100000000LL /* a wait under 0.1 s is Python's turn of its interpreter lock: left as it is */

static int64_t wall0, anchor, wall_speed, wait_speed; /* ns, ns, 1, 1 */
static const volatile int64_t *step;                   /* ns that the wall clock was stepped by; shared with clock.py */
static int (*next_sem_clockwait)(sem_t *, clockid_t, const struct timespec *);
static int (*next_cond_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*next_cond_clockwait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);

static int64_t raw(clockid_t clock) {
  struct timespec now;
  syscall(SYS_clock_gettime, clock, &now);
  return now.tv_sec * NS + now.tv_nsec;
}

static int64_t ns(const struct timespec *t) { return t->tv_sec * NS + t->tv_nsec; }

static struct timespec spec(int64_t t) {
  if (t < 0) t = 0;
  return (struct timespec){t / NS, t % NS};
}

__attribute__((constructor)) static void begin(void) {
  const char *said = getenv("SIM_CLOCK"), *file = getenv("SIM_CLOCK_STEP");
  long long a, b, c, d;
  if (!said || !file || sscanf(said, "%lld %lld %lld %lld", &a, &b, &c, &d) != 4) {
    fprintf(stderr, "clock.c: SIM_CLOCK and SIM_CLOCK_STEP must be set\n");
    abort();
  }
  wall0 = a, anchor = b, wall_speed = c, wait_speed = d;
  int opened = open(file, O_RDONLY);
  void *mapped = opened < 0 ? MAP_FAILED : mmap(NULL, sizeof *step, PROT_READ, MAP_SHARED, opened, 0);
  if (mapped == MAP_FAILED) {
    perror(file);
    abort();
  }
  close(opened);
  step = mapped;
  next_sem_clockwait = dlsym(RTLD_NEXT, "sem_clockwait");
  next_cond_timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  next_cond_clockwait = dlsym(RTLD_NEXT, "pthread_cond_clockwait");
}

static int64_t wall(void) { return wall0 + (raw(CLOCK_MONOTONIC) - anchor) * wall_speed + (step ? *step : 0); }
static int64_t steady(void) { return anchor + (raw(CLOCK_MONOTONIC) - anchor) * wait_speed; }

static int is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }
static int is_steady(clockid_t clock) {
  return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
         clock == CLOCK_BOOTTIME;
}

/* Real nanoseconds to wait until a moment of one of our clocks. */
static int64_t left(clockid_t clock, int64_t until) {
  int64_t ahead = is_wall(clock) ? (until - wall()) / wall_speed : (until - steady()) / wait_speed;
  return ahead > 0 ? ahead : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  if (is_wall(clock)) return *now = spec(wall()), 0;
  if (is_steady(clock)) return *now = spec(steady()), 0;
  return syscall(SYS_clock_gettime, clock, now);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec t = spec(wall());
  now->tv_sec = t.tv_sec, now->tv_usec = t.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  time_t t = wall() / NS;
  if (now) *now = t;
  return t;
}

static int sleep_real(int64_t t) {
  struct timespec wanted = spec(t);
  return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &wanted, NULL) < 0 ? errno : 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *rest) {
  if (rest) *rest = (struct timespec){0, 0};
  return sleep_real(flags & TIMER_ABSTIME ? left(clock, ns(wanted)) : ns(wanted) / wait_speed);
}

int nanosleep(const struct timespec *wanted, struct timespec *rest) {
  if (rest) *rest = (struct timespec){0, 0};
  errno = sleep_real(ns(wanted) / wait_speed);
  return errno ? -1 : 0;
}

int usleep(useconds_t wanted) {
  errno = sleep_real(wanted * 1000LL / wait_speed);
  return errno ? -1 : 0;
}

unsigned sleep(unsigned wanted) {
  sleep_real(wanted * NS / wait_speed);
  return 0;
}

int sem_clockwait(sem_t *restrict sem, clockid_t clock, const struct timespec *restrict until) {
  struct timespec real = spec(raw(CLOCK_MONOTONIC) + left(clock, ns(until)));
  return next_sem_clockwait(sem, CLOCK_MONOTONIC, &real);
}

int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict until) {
  return sem_clockwait(sem, CLOCK_REALTIME, until);
}

int pthread_cond_clockwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex, clockid_t clock,
                           const struct timespec *restrict until) {
  struct timespec real = spec(raw(CLOCK_MONOTONIC) + left(clock, ns(until)));
  return next_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &real);
}

/* A condition does not say of which clock it is: that whose present is nearer to the moment given. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
  int64_t at = ns(until), to_wall = at - wall(), to_steady = at - steady();
  clockid_t clock = llabs(to_wall) < llabs(to_steady) ? CLOCK_REALTIME : CLOCK_MONOTONIC;
  int64_t ahead = clock == CLOCK_REALTIME ? to_wall : to_steady;
  struct timespec real = spec(raw(clock) + (ahead < HOLD_NS ? (ahead > 0 ? ahead : 0) : left(clock, at)));
  return next_cond_timedwait(cond, mutex, &real);
}

int poll(struct pollfd *files, nfds_t count, int wanted) {
  struct timespec real = spec(wanted * 1000000LL / wait_speed);
  return syscall(SYS_ppoll, files, count, wanted < 0 ? NULL : &real, NULL, 8);
}

int select(int count, fd_set *restrict in, fd_set *restrict out, fd_set *restrict odd,
           struct timeval *restrict wanted) {
  struct timespec real = spec(wanted ? (wanted->tv_sec * NS + wanted->tv_usec * 1000LL) / wait_speed : 0);
  return syscall(SYS_pselect6, count, in, out, odd, wanted ? &real : NULL, NULL);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int wanted) {
  struct timespec real = spec(wanted * 1000000LL / wait_speed);
  return syscall(SYS_epoll_pwait2, epoll, events, most, wanted < 0 ? NULL : &real, NULL, 8);
}
