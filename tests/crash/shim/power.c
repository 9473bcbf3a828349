/*
 * Records what a program changes in files, so that a test can build the disk as it is after a power cut.
 * Loaded with LD_PRELOAD. Each record is appended to the file WHARF_POWER_LOG; tests/crash/power_cut/ reads it.
 *
 * A lock orders changes and records. A write is recorded before it is done, a change of names after it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, LINK, MKDIR, RMDIR };

struct record {
    uint64_t op, file, offset, first, second;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("WHARF_POWER_LOG");
    if (path != NULL)
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void append(uint64_t op, uint64_t file, uint64_t offset, const void *first, size_t first_length,
                   const void *second, size_t second_length) {
    struct record record = {op, file, offset, first_length, second_length};
    struct iovec parts[3] = {{&record, sizeof record}, {(void *)first, first_length}, {(void *)second, second_length}};
    if (log_fd < 0)
        return;
    size_t whole = sizeof record + first_length + second_length;
    if (syscall(SYS_writev, log_fd, parts, 3) != (long)whole)
        abort();
}

static void append_paths(uint64_t op, uint64_t file, const char *first, const char *second) {
    append(op, file, 0, first, strlen(first), second, strlen(second));
}

/* The number of a regular file, or 0 for anything else. */
static uint64_t regular(int fd, struct stat *found) {
    if (fd <= 2 || fd == log_fd || log_fd < 0)
        return 0;
    if (syscall(SYS_fstat, fd, found) != 0 || !S_ISREG(found->st_mode))
        return 0;
    return found->st_ino;
}

/* An absolute path. */
static void resolve(int dir, const char *path, char *out, size_t size) {
    char link[64], base[4096];
    ssize_t length;
    if (path[0] == '/') {
        snprintf(out, size, "%s", path);
        return;
    }
    snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
    length = readlink(link, base, sizeof base - 1);
    base[length < 0 ? 0 : length] = 0;
    snprintf(out, size, "%s/%s", base, path);
}

/* --- Opening ------------------------------------------------------------------------------------------------- */

static int do_open(int dir, const char *path, int flags, mode_t mode) {
    struct stat before, after;
    char name[8192];
    int fd, changes = (flags & (O_CREAT | O_TRUNC)) != 0 && log_fd >= 0;
    if (!changes)
        return (int)syscall(SYS_openat, dir, path, flags, mode);
    pthread_mutex_lock(&lock);
    int existed = fstatat(dir, path, &before, 0) == 0;
    fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    int error = errno;
    if (fd >= 0 && syscall(SYS_fstat, fd, &after) == 0 && S_ISREG(after.st_mode)) {
        if (!existed) {
            resolve(dir, path, name, sizeof name);
            append_paths(CREATE, after.st_ino, name, "");
        } else if (flags & O_TRUNC) {
            append(TRUNCATE, after.st_ino, 0, "", 0, "", 0);
        }
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define OPEN_MODE                                                                                                     \
    mode_t mode = 0;                                                                                                  \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                              \
        va_list arguments;                                                                                            \
        va_start(arguments, flags);                                                                                   \
        mode = va_arg(arguments, mode_t);                                                                             \
        va_end(arguments);                                                                                            \
    }

int open(const char *path, int flags, ...) {
    OPEN_MODE
    return do_open(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    OPEN_MODE
    return do_open(AT_FDCWD, path, flags, mode);
}
int openat(int dir, const char *path, int flags, ...) {
    OPEN_MODE
    return do_open(dir, path, flags, mode);
}
int openat64(int dir, const char *path, int flags, ...) {
    OPEN_MODE
    return do_open(dir, path, flags, mode);
}
int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* --- Contents ------------------------------------------------------------------------------------------------ */

static ssize_t do_pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    struct stat found;
    uint64_t file = regular(fd, &found);
    if (file == 0)
        return syscall(SYS_pwrite64, fd, bytes, length, offset);
    pthread_mutex_lock(&lock);
    append(WRITE, file, (uint64_t)offset, bytes, length, "", 0);
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, length, offset);
    int error = errno;
    /* A full disk is no subject of this model. */
    if (written != (ssize_t)length)
        abort();
    pthread_mutex_unlock(&lock);
    errno = error;
    return written;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return do_pwrite(fd, bytes, length, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return do_pwrite(fd, bytes, length, offset);
}

static off_t position(int fd, const struct stat *found) {
    int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
    return flags & O_APPEND ? found->st_size : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct stat found;
    if (regular(fd, &found) == 0)
        return syscall(SYS_write, fd, bytes, length);
    pthread_mutex_lock(&lock);
    uint64_t file = regular(fd, &found);
    append(WRITE, file, (uint64_t)position(fd, &found), bytes, length, "", 0);
    ssize_t written = syscall(SYS_write, fd, bytes, length);
    if (written != (ssize_t)length)
        abort();
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct stat found;
    if (regular(fd, &found) == 0)
        return syscall(SYS_writev, fd, parts, count);
    ssize_t whole = 0;
    for (int part = 0; part < count; part++)
        whole += write(fd, parts[part].iov_base, parts[part].iov_len);
    return whole;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    ssize_t whole = 0;
    for (int part = 0; part < count; part++)
        whole += do_pwrite(fd, parts[part].iov_base, parts[part].iov_len, offset + whole);
    return whole;
}

/* Programs fall back to reading and writing. */
ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t length, unsigned flags) {
    (void)from, (void)a, (void)to, (void)b, (void)length, (void)flags;
    errno = ENOSYS;
    return -1;
}

int ftruncate(int fd, off_t length) {
    struct stat found;
    uint64_t file = regular(fd, &found);
    if (file == 0)
        return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    append(TRUNCATE, file, (uint64_t)length, "", 0, "", 0);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_unlock(&lock);
    return result;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

/* A larger size is recorded like that of a truncation. */
int fallocate(int fd, int mode, off_t offset, off_t length) {
    struct stat found;
    uint64_t file = regular(fd, &found);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_fallocate, fd, mode, offset, length), error = errno;
    if (result == 0 && file != 0 && mode == 0 && offset + length > found.st_size)
        append(TRUNCATE, file, (uint64_t)(offset + length), "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

/* Files and directories. Changes recorded before the beginning are durable once the end is recorded. */
static int do_sync(int fd, long call) {
    struct stat found;
    if (fd <= 2 || log_fd < 0 || syscall(SYS_fstat, fd, &found) != 0)
        return (int)syscall(call, fd);
    uint64_t thread = (uint64_t)syscall(SYS_gettid);
    pthread_mutex_lock(&lock);
    append(SYNC_BEGIN, found.st_ino, thread, "", 0, "", 0);
    pthread_mutex_unlock(&lock);
    int result = (int)syscall(call, fd), error = errno;
    if (result == 0) {
        pthread_mutex_lock(&lock);
        append(SYNC_END, found.st_ino, thread, "", 0, "", 0);
        pthread_mutex_unlock(&lock);
    }
    errno = error;
    return result;
}
int fsync(int fd) { return do_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return do_sync(fd, SYS_fdatasync); }

/* --- Names --------------------------------------------------------------------------------------------------- */

static int do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char first[8192], second[8192];
    resolve(from_dir, from, first, sizeof first);
    resolve(to_dir, to, second, sizeof second);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags), error = errno;
    if (result == 0)
        append_paths(RENAME, 0, first, second);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int rename(const char *from, const char *to) { return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    return do_rename(from_dir, from, to_dir, to, 0);
}
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    return do_rename(from_dir, from, to_dir, to, flags);
}

static int do_unlink(int dir, const char *path, int flags) {
    char name[8192];
    resolve(dir, path, name, sizeof name);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlinkat, dir, path, flags), error = errno;
    if (result == 0)
        append_paths(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, name, "");
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int unlink(const char *path) { return do_unlink(AT_FDCWD, path, 0); }
int unlinkat(int dir, const char *path, int flags) { return do_unlink(dir, path, flags); }
int rmdir(const char *path) { return do_unlink(AT_FDCWD, path, AT_REMOVEDIR); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    char first[8192], second[8192];
    resolve(from_dir, from, first, sizeof first);
    resolve(to_dir, to, second, sizeof second);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags), error = errno;
    if (result == 0)
        append_paths(LINK, 0, first, second);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int mkdirat(int dir, const char *path, mode_t mode) {
    char name[8192];
    struct stat found;
    resolve(dir, path, name, sizeof name);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_mkdirat, dir, path, mode), error = errno;
    if (result == 0 && fstatat(dir, path, &found, 0) == 0)
        append_paths(MKDIR, found.st_ino, name, "");
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
