/* A disk that fails as a test wants: loaded before the C library, it refuses writes under one folder.
 *
 * DISK_FOLDER is the folder, DISK_FAULT a file whose content says what is wrong with it:
 * `full`, `read-only`, `broken` (a write fails) or `unsynced` (a sync fails). No file: nothing is.
 * Only what a database does is looked at: writing, growing, cutting, syncing, and opening to write. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { WELL, FULL, READ_ONLY, BROKEN, UNSYNCED };

static int (*real_open)(const char *, int, ...);

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static int fault(void) {
    const char *path = getenv("DISK_FAULT");
    char text[16] = {0};
    int fd;
    if (!real_open)
        real_open = next("open");
    if (!path || (fd = real_open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return WELL;
    if (read(fd, text, sizeof text - 1) < 0)
        text[0] = 0;
    close(fd);
    return !strncmp(text, "full", 4)        ? FULL
           : !strncmp(text, "read-only", 9) ? READ_ONLY
           : !strncmp(text, "broken", 6)    ? BROKEN
           : !strncmp(text, "unsynced", 8)  ? UNSYNCED
                                            : WELL;
}

static int is_ours(const char *path) {
    const char *folder = getenv("DISK_FOLDER");
    return folder && !strncmp(path, folder, strlen(folder));
}

static int is_ours_fd(int fd) {
    char link[64], path[4096];
    ssize_t n;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return 0;
    path[n] = 0;
    return is_ours(path);
}

/* Returns the errno of a write that is refused, or 0. */
static int refused(int fd) {
    int kept = errno, why = is_ours_fd(fd) ? fault() : WELL;
    errno = kept;
    return why == FULL ? ENOSPC : why == READ_ONLY ? EROFS : why == BROKEN ? EIO : 0;
}

#define REFUSE(fd)                                                                                 \
    do {                                                                                           \
        int why = refused(fd);                                                                     \
        if (why) {                                                                                 \
            errno = why;                                                                           \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t n) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real)
        real = next("write");
    REFUSE(fd);
    return real(fd, bytes, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real)
        real = next("pwrite");
    REFUSE(fd);
    return real(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real)
        real = next("pwrite64");
    REFUSE(fd);
    return real(fd, bytes, n, at);
}

int ftruncate(int fd, off_t n) {
    static int (*real)(int, off_t);
    if (!real)
        real = next("ftruncate");
    REFUSE(fd);
    return real(fd, n);
}

int ftruncate64(int fd, off64_t n) {
    static int (*real)(int, off64_t);
    if (!real)
        real = next("ftruncate64");
    REFUSE(fd);
    return real(fd, n);
}

static int unsynced(int fd) {
    int why = is_ours_fd(fd) ? fault() : WELL;
    return why == UNSYNCED || why == BROKEN;
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real)
        real = next("fsync");
    if (unsynced(fd)) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real)
        real = next("fdatasync");
    if (unsynced(fd)) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}

/* Returns the errno of an opening that is refused, or 0. */
static int closed(const char *path, int flags) {
    int why;
    if (!is_ours(path) || !(flags & (O_WRONLY | O_RDWR | O_CREAT)))
        return 0;
    why = fault();
    if (why == READ_ONLY)
        return EROFS;
    return why == FULL && (flags & O_CREAT) && access(path, F_OK) ? ENOSPC : 0;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        static int (*real)(const char *, int, ...);                                                \
        int why, mode = 0;                                                                         \
        if (!real)                                                                                 \
            real = next(#name);                                                                    \
        if (flags & (O_CREAT | O_TMPFILE)) {                                                       \
            va_list rest;                                                                          \
            va_start(rest, flags);                                                                 \
            mode = va_arg(rest, int);                                                              \
            va_end(rest);                                                                          \
        }                                                                                          \
        why = closed(path, flags);                                                                 \
        if (why) {                                                                                 \
            errno = why;                                                                           \
            return -1;                                                                             \
        }                                                                                          \
        return real(path, flags, mode);                                                            \
    }

OPEN(open)
OPEN(open64)
