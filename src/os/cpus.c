// SPDX-License-Identifier: BSD-2-Clause
// cpus.c - how many CPUs this process may use: affinity mask and cgroup quotas.
//
// Owns:    nothing; reads /proc and the cgroup file systems at start-up.
// Callers: oai_os_cpu_count() by the coordinator, oai_os_cpu_count_at() by tests too.
// Design:  /proc/self/cgroup tells our group in each hierarchy, /proc/self/mountinfo where the
//          hierarchies are mounted and which part of them. A quota holds for a whole subtree, so
//          every level from our group up to the mount counts, and the smallest wins. What cannot be
//          read sets no limit.
#define _GNU_SOURCE 1
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE = 2 * PATH_MAX + 512 };

// Our group's path in one hierarchy, as /proc/self/cgroup has it; empty when there is none.
typedef struct {
    char unified[PATH_MAX]; // cgroup v2
    char cpu[PATH_MAX];     // the v1 hierarchy that has the cpu controller
} groups_t;

// True when `word` is one of the comma-separated words of `list`.
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p != NULL; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return true;
    }
    return false;
}

static void copy_path(char *out, const char *path)
{
    snprintf(out, PATH_MAX, "%s", path);
}

// "0::/path" is v2, "4:cpu,cpuacct:/path" a v1 hierarchy.
static void read_groups(const char *file, groups_t *groups)
{
    groups->unified[0] = groups->cpu[0] = '\0';
    FILE *f = fopen(file, "re");
    if (f == NULL)
        return;
    char line[LINE];
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        controllers++;
        if (controllers[0] == '\0')
            copy_path(groups->unified, path);
        else if (has_word(controllers, "cpu"))
            copy_path(groups->cpu, path);
    }
    fclose(f);
}

// mountinfo writes space, tab, newline and backslash as three octal digits.
static void unescape(char *s)
{
    char *out = s;
    for (; *s != '\0'; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
            *out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *out++ = *s;
        }
    }
    *out = '\0';
}

// The first line of dir/name as text; false when there is none.
static bool read_file(const char *dir, const char *name, char *text, size_t size)
{
    char path[PATH_MAX + 32];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static long ratio_up(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return LONG_MAX; // "max", -1 or nonsense: no limit
    long long cpus = quota / period + (quota % period != 0);
    return cpus < 1 ? 1 : (long)cpus;
}

static long quota_unified(const char *dir)
{
    char text[64];
    long long quota, period;
    if (!read_file(dir, "cpu.max", text, sizeof text) ||
        sscanf(text, "%lld %lld", &quota, &period) != 2)
        return LONG_MAX;
    return ratio_up(quota, period);
}

static long quota_cpu(const char *dir)
{
    char quota[32], period[32];
    if (!read_file(dir, "cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_file(dir, "cpu.cfs_period_us", period, sizeof period))
        return LONG_MAX;
    return ratio_up(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

// The smallest quota from our group up to the top of what is mounted at `mount`. `root` is the part
// of the hierarchy that is mounted: in a container often not "/".
static long smallest_quota(const char *mount, const char *root, const char *group,
                           long (*quota_at)(const char *))
{
    size_t skip = strcmp(root, "/") == 0 ? 0 : strlen(root);
    bool inside = strncmp(group, root, skip) == 0 && (group[skip] == '/' || group[skip] == '\0');
    // A group that lies outside of what we can see ("/../x"): look at what we can see.
    if (!inside || strstr(group, "/..") != NULL)
        group = "", skip = 0;

    char dir[2 * PATH_MAX];
    snprintf(dir, sizeof dir, "%s%s", mount, group + skip);
    size_t top = strlen(mount);
    long least = LONG_MAX;
    for (;;) {
        long here = quota_at(dir);
        least = here < least ? here : least;
        char *slash = strrchr(dir, '/');
        if (slash == NULL || (size_t)(slash - dir) < top)
            return least;
        *slash = '\0';
    }
}

// One line of mountinfo: "36 35 98:0 /root /mount/point options [tags] - type source options".
static long quota_of_mount(char *line, const groups_t *groups)
{
    char root[PATH_MAX], mount[PATH_MAX], type[32], super[512];
    char *rest = strstr(line, " - ");
    if (rest == NULL || sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) != 2 ||
        sscanf(rest, " - %31s %*s %511s", type, super) != 2)
        return LONG_MAX;
    unescape(root);
    unescape(mount);
    if (strcmp(type, "cgroup2") == 0 && groups->unified[0] != '\0')
        return smallest_quota(mount, root, groups->unified, quota_unified);
    if (strcmp(type, "cgroup") == 0 && groups->cpu[0] != '\0' && has_word(super, "cpu"))
        return smallest_quota(mount, root, groups->cpu, quota_cpu);
    return LONG_MAX;
}

int oai_os_cpu_count_at(const char *cgroup_file, const char *mounts_file, int affinity)
{
    long count = affinity < 1 ? 1 : affinity;
    groups_t groups;
    read_groups(cgroup_file, &groups);
    FILE *f = fopen(mounts_file, "re");
    if (f == NULL)
        return (int)count;
    char line[LINE];
    while (fgets(line, sizeof line, f) != NULL) {
        long quota = quota_of_mount(line, &groups);
        count = quota < count ? quota : count;
    }
    fclose(f);
    return (int)count;
}

// The mask may be longer than cpu_set_t: the kernel says EINVAL until it fits.
static int affinity_count(void)
{
    for (size_t cpus = CPU_SETSIZE; cpus <= 1u << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (set == NULL)
            return 1;
        size_t size = CPU_ALLOC_SIZE(cpus);
        int rc = sched_getaffinity(0, size, set);
        int err = errno;
        int count = rc == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (rc == 0)
            return count > 0 ? count : 1;
        if (err != EINVAL)
            break;
    }
    return 1;
}

int oai_os_cpu_count(void)
{
    return oai_os_cpu_count_at("/proc/self/cgroup", "/proc/self/mountinfo", affinity_count());
}

int oai_os_thread_count(void)
{
    char text[1024];
    if (!read_file("/proc/self", "stat", text, sizeof text))
        return -EIO;
    // Behind the name in parentheses, which may be any: "state ppid ...", the 18th is the count.
    const char *rest = strrchr(text, ')');
    long count = 0;
    if (!rest || sscanf(rest + 1,
                        "%*s" // state
                        "%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%ld",
                        &count) != 1)
        return -EIO;
    return (int)count;
}
