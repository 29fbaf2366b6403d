/* A disk that fails when it is told to, under the files of one store; `disk.py` says how it is used.

   Loaded with LD_PRELOAD, on 64-bit Linux. It does nothing before `disk_arm` is called or, in a
   program that cannot call it, the variable DISK_STORE names the store. All processes that share a
   control block share one disk. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OTHER, DATABASE, LOG, JOURNAL, SHARED, LOCK, FOLDER };

/* The same fields as `Control` in disk.py. */
struct control {
  int64_t room;       /* bytes by which the files may grow in all; negative: any number */
  int64_t refused;    /* writes that found no room */
  int64_t fail_kinds; /* 1 << kind of the files whose syncs are counted */
  int64_t fail_at;    /* the first of these that fails, from 1; 0: none does */
  int64_t fail_count; /* how many fail from there on */
  int64_t syncs;      /* counted so far */
  int64_t failed;     /* of these */
  int64_t stop_at;    /* the operation before which the process stops itself, from 1; 0: none;
                         -1: it stops itself when a sync has failed, before anybody hears of it */
  int64_t operations; /* writes, truncations and syncs so far */
  int64_t stopped;    /* the process that has stopped itself */
};

/* The same fields as `_HEAD` in power.py; the bytes of a write follow. */
struct entry {
  int64_t ticket;
  int64_t offset;
  int64_t length;
  int32_t what; /* w: write, t: truncate, b e f: a sync begins, ended, failed, u: unlink */
  int32_t kind;
};

static struct control own = {.room = -1};
static struct control *control;
static char store[PATH_MAX], folder[PATH_MAX];
static int history = -1;
static int may_fail; /* whether syncs of this process may */

void disk_arm(const char *path, struct control *shared, int log, int fails) {
  snprintf(store, sizeof store, "%s", path);
  snprintf(folder, sizeof folder, "%s", path);
  *strrchr(folder, '/') = 0;
  history = log;
  may_fail = fails;
  control = shared;
}

static int64_t number(const char *name, int64_t otherwise) {
  const char *text = getenv(name);
  return text ? atoll(text) : otherwise;
}

__attribute__((constructor)) static void arm_from_environment(void) {
  if (!getenv("DISK_STORE")) return;
  own.fail_kinds = number("DISK_FAIL_KINDS", 0);
  own.fail_at = number("DISK_FAIL_AT", 0);
  own.fail_count = number("DISK_FAIL_COUNT", 1);
  own.stop_at = number("DISK_STOP_AT", 0);
  own.room = number("DISK_ROOM", -1);
  disk_arm(getenv("DISK_STORE"), &own, -1, 1);
}

static enum kind kind_of_path(const char *path) {
  size_t length = strlen(store);
  if (!strcmp(path, folder)) return FOLDER;
  if (strncmp(path, store, length)) return OTHER;
  if (!path[length]) return DATABASE;
  if (!strcmp(path + length, "-wal")) return LOG;
  if (!strcmp(path + length, "-journal")) return JOURNAL;
  if (!strcmp(path + length, "-shm")) return SHARED;
  if (!strcmp(path + length, ".lock")) return LOCK;
  return OTHER;
}

static enum kind kind_of(int file) {
  char link[64], path[PATH_MAX];
  int before = errno;
  if (!control || file < 3 || file == history) return OTHER;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length < 0) return OTHER;
  path[length] = 0;
  return kind_of_path(path);
}

static int durable(enum kind kind) {
  return kind == DATABASE || kind == LOG || kind == JOURNAL;
}

static void stop(void) {
  control->stopped = getpid();
  kill(getpid(), SIGSTOP);
}

/* Count an operation, and stop before it if that was asked for. */
static int64_t operate(void) {
  int64_t ticket = __atomic_add_fetch(&control->operations, 1, __ATOMIC_SEQ_CST);
  if (ticket == control->stop_at) stop();
  return ticket;
}

static void record(int what, enum kind kind, int64_t ticket, int64_t offset, const void *data,
                   size_t length) {
  if (history < 0) return;
  struct entry head = {ticket, offset, (int64_t)length, what, kind};
  struct iovec parts[] = {{&head, sizeof head}, {(void *)data, data ? length : 0}};
  if (writev(history, parts, 2) < 0) abort();
}

/* Return how many bytes of a write there is room for; 0 with errno set if for none. */
static size_t room_for(int file, off_t offset, size_t length) {
  struct stat found;
  if (control->room < 0 || fstat(file, &found)) return length;
  int64_t growth = offset + (int64_t)length - found.st_size;
  if (growth <= 0) return length;
  int64_t left = __atomic_load_n(&control->room, __ATOMIC_SEQ_CST);
  do {
    if (left < 0) return length; /* there is room again in this very moment */
  } while (!__atomic_compare_exchange_n(&control->room, &left, left > growth ? left - growth : 0, 0,
                                        __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
  if (growth <= left) return length;
  if (growth - left < (int64_t)length) return length - (size_t)(growth - left);
  __atomic_add_fetch(&control->refused, 1, __ATOMIC_SEQ_CST);
  errno = ENOSPC;
  return 0;
}

static ssize_t write_at(int file, enum kind kind, const void *data, size_t length, off_t offset) {
  size_t granted = room_for(file, offset, length);
  if (!granted && length) return -1;
  if (durable(kind)) record('w', kind, operate(), offset, data, granted);
  return syscall(SYS_pwrite64, file, data, granted, offset);
}

ssize_t pwrite(int file, const void *data, size_t length, off_t offset) {
  enum kind kind = kind_of(file);
  if (kind == OTHER) return syscall(SYS_pwrite64, file, data, length, offset);
  return write_at(file, kind, data, length, offset);
}

ssize_t pwrite64(int file, const void *data, size_t length, off_t offset) {
  return pwrite(file, data, length, offset);
}

ssize_t write(int file, const void *data, size_t length) {
  enum kind kind = kind_of(file);
  off_t offset = kind == OTHER ? -1 : lseek(file, 0, SEEK_CUR);
  if (offset < 0) return syscall(SYS_write, file, data, length);
  ssize_t written = write_at(file, kind, data, length, offset);
  if (written > 0) lseek(file, offset + written, SEEK_SET);
  return written;
}

int ftruncate(int file, off_t length) {
  enum kind kind = kind_of(file);
  if (durable(kind)) record('t', kind, operate(), length, NULL, 0);
  return syscall(SYS_ftruncate, file, length);
}

int ftruncate64(int file, off_t length) { return ftruncate(file, length); }

static int sync_with(long call, int file) {
  enum kind kind = kind_of(file);
  if (!durable(kind) && kind != FOLDER) return syscall(call, file);
  int64_t ticket = operate();
  record('b', kind, ticket, 0, NULL, 0);
  if (may_fail && control->fail_kinds >> kind & 1) {
    int64_t number = __atomic_add_fetch(&control->syncs, 1, __ATOMIC_SEQ_CST);
    int64_t beyond = number - control->fail_at;
    if (control->fail_at && beyond >= 0 && beyond < control->fail_count) {
      record('f', kind, ticket, 0, NULL, 0);
      __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
      if (control->stop_at < 0) stop();
      errno = EIO;
      return -1;
    }
  }
  int result = syscall(call, file);
  if (!result) record('e', kind, ticket, 0, NULL, 0);
  return result;
}

int fsync(int file) { return sync_with(SYS_fsync, file); }
int fdatasync(int file) { return sync_with(SYS_fdatasync, file); }

int unlink(const char *path) {
  enum kind kind = control ? kind_of_path(path) : OTHER;
  if (durable(kind)) record('u', kind, operate(), 0, NULL, 0);
  return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
