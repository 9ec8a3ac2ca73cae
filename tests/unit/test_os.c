// SPDX-License-Identifier: BSD-2-Clause
// test_os.c - the contract of the table oai_os, the probes, and how many CPUs we think we have.
// ctest: timeout=60
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "os/os.h"

static const int64_t MS = 1000000;

static int open_descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

// ---- memory ----

static void test_memory(void)
{
    size_t page = oai_os_page_size();
    void *base = NULL;
    CHECK_EQ(oai_os.map(&base, 16 * page), 0);
    char *p = base;
    CHECK_EQ(p[0], 0);
    memset(p, 1, 16 * page);
    CHECK_EQ(oai_os.discard(p + page, page), 0);
    CHECK_EQ(p[page], 0);
    CHECK_EQ(p[0] + p[2 * page], 2);
    CHECK_EQ(oai_os.refresh(p + 2 * page, 2 * page), 0);
    CHECK_EQ(p[2 * page], 0);
    CHECK_EQ(p[4 * page], 1);
    CHECK_EQ(oai_os.protect(p + 8 * page, page), 0);
    CHECK_EQ(oai_os.unmap(p, 16 * page), 0);
    void *huge;
    CHECK(oai_os.map(&huge, SIZE_MAX / 2 + 1) < 0);
    void *block = oai_os.alloc(100);
    CHECK(block != NULL);
    oai_os.free(block);
    oai_os.free(NULL);
}

// More spans than one call to the kernel takes, and only they are guarded.
static void test_guard(void)
{
    enum { SPANS = OAI_OS_GUARD_BATCH + 500 };
    static oai_span_t spans[SPANS];
    bool usable = oai_os_guard_probe();
    CHECK_EQ(oai_os_guard_probe(), usable);
    printf("guard markers: %s\n", usable ? "usable" : "not usable");
    if (!usable)
        return;
    size_t page = oai_os_page_size();
    void *base = NULL;
    CHECK_EQ(oai_os.map(&base, 2 * SPANS * page), 0);
    char *p = base;
    for (size_t i = 0; i < SPANS; i++)
        spans[i] = (oai_span_t){p + 2 * i * page, page};
    CHECK_EQ(oai_os.guard(spans, SPANS), 0);
    for (size_t i = 0; i < SPANS; i++)
        p[(2 * i + 1) * page] = 1;
    int fds[2];
    CHECK(pipe(fds) == 0);
    for (size_t i = 0; i < SPANS; i += 13) {
        CHECK_EQ(oai_os.write(fds[1], spans[i].base, 1), -EFAULT);
        CHECK_EQ(oai_os.discard(p + (2 * i + 1) * page, page), 0);
        CHECK_EQ(p[(2 * i + 1) * page], 0);
    }
    CHECK_EQ(oai_os.discard(p, 2 * SPANS * page), 0); // guards stay
    CHECK_EQ(oai_os.write(fds[1], p, 1), -EFAULT);
    close(fds[0]);
    close(fds[1]);
    oai_span_t bad = {p + 1, page};
    CHECK(oai_os.guard(&bad, 1) != 0);
    CHECK_EQ(oai_os.unmap(p, 2 * SPANS * page), 0);
}

static int guard_lies(const oai_span_t *spans, size_t n)
{
    (void)spans, (void)n;
    return 0;
}

// A system that accepts guards and makes none is seen through.
static void test_probe_sees_through(void)
{
    struct oai_os usual = oai_os;
    oai_os_probe_reset();
    oai_os.guard = guard_lies;
    CHECK(!oai_os_guard_probe());
    oai_os = usual;
    CHECK(!oai_os_guard_probe()); // remembered
    oai_os_probe_reset();
}

// Without descriptors guards are still made, one by one.
static void test_guard_without_descriptors(void)
{
    if (!oai_os_guard_probe())
        return;
    size_t page = oai_os_page_size();
    void *base = NULL;
    CHECK_EQ(oai_os.map(&base, 8 * page), 0);
    char *p = base;
    oai_span_t spans[] = {{p, page}, {p + 2 * page, page}, {p + 4 * page, page}};
    int fds[2];
    CHECK(pipe(fds) == 0);
    struct rlimit old, none;
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    none = old;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK_EQ(oai_os.guard(spans, 3), 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(oai_os.write(fds[1], spans[i].base, 1), -EFAULT);
    close(fds[0]);
    close(fds[1]);
    CHECK_EQ(oai_os.unmap(p, 8 * page), 0);
}

// A child of a process that has probed: its guards are its own.
static void test_after_fork(void)
{
    if (!oai_os_guard_probe())
        return;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        test_guard();
        if (oai_os_membarrier_probe())
            CHECK_EQ(oai_os.membarrier(), 0); // the registration is inherited
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// ---- time, threads, futex ----

static void test_time(void)
{
    int64_t start = oai_os.now();
    CHECK(start > 0);
    oai_os.sleep(-1);
    oai_os.sleep(0);
    oai_os.sleep(2 * MS);
    CHECK(oai_os.now() - start >= 2 * MS);
    oai_os.yield();
}

static _Atomic uint32_t word;

static void wake_later(void *arg)
{
    char name[16] = "";
    FILE *f = fopen("/proc/thread-self/comm", "r");
    if (f != NULL) {
        CHECK(fgets(name, sizeof name, f) != NULL);
        fclose(f);
    }
    name[strcspn(name, "\n")] = '\0';
    CHECK(strcmp(name, "a name that is ") == 0 || test_under("qemu"));
    oai_os.sleep(5 * MS);
    atomic_store_explicit(&word, 1, memory_order_release); // pairs with the acquire below
    oai_os.futex_wake(&word, 1);
    *(int *)arg = 7;
}

// What is woken may be gone by then.
static void test_wake_of_nothing(void)
{
    _Atomic uint32_t *volatile gone = malloc(sizeof *gone);
    oai_os.futex_wake(gone, 1); // not initialised
    free(gone);
    oai_os.futex_wake(gone, 1);
}

static void test_thread_and_futex(void)
{
    int64_t start = oai_os.now();
    CHECK_EQ(oai_os.futex_wait(&word, 1, OAI_OS_FOREVER), 0); // differs
    CHECK_EQ(oai_os.futex_wait(&word, 0, start + 3 * MS), -ETIMEDOUT);
    CHECK(oai_os.now() >= start + 3 * MS);
    CHECK_EQ(oai_os.futex_wait(&word, 0, start), -ETIMEDOUT);
    CHECK_EQ(oai_os.futex_wait(&word, 0, -5), -ETIMEDOUT);

    int done = 0;
    oai_os_thread_t thread;
    CHECK_EQ(oai_os.thread_start(&thread, wake_later, &done, 0, "a name that is longer"), 0);
    while (atomic_load_explicit(&word, memory_order_acquire) == 0)
        CHECK_EQ(oai_os.futex_wait(&word, 0, OAI_OS_FOREVER), 0);
    oai_os.thread_join(thread);
    CHECK_EQ(done, 7);
    atomic_store_explicit(&word, 0, memory_order_relaxed);
}

static void count_up(void *arg)
{
    atomic_fetch_add_explicit((_Atomic uint32_t *)arg, 1, memory_order_relaxed);
}

static void test_threads(void)
{
    _Atomic uint32_t count = 0;
    oai_os_thread_t threads[8];
    for (int i = 0; i < 8; i++)
        CHECK_EQ(oai_os.thread_start(&threads[i], count_up, &count, (size_t)i * 100000, NULL), 0);
    for (int i = 0; i < 8; i++)
        oai_os.thread_join(threads[i]);
    CHECK_EQ(atomic_load_explicit(&count, memory_order_relaxed), 8);
}

static void test_membarrier(void)
{
    bool usable = oai_os_membarrier_probe();
    CHECK_EQ(oai_os_membarrier_probe(), usable);
    printf("membarrier: %s\n", usable ? "usable" : "not usable");
    if (usable)
        CHECK_EQ(oai_os.membarrier(), 0);
}

// ---- CPUs ----

static char tree[PATH_MAX];

// Writes one file of the made tree, with the folders above it.
static const char *make_file(const char *path, const char *text)
{
    static char full[2 * PATH_MAX];
    snprintf(full, sizeof full, "%s/%s", tree, path);
    for (char *p = full + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        (void)mkdir(full, 0755);
        *p = '/';
    }
    FILE *f = fopen(full, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
    return full;
}

// What is counted with these two files; "@" in mounts stands for the folder of the tree.
static int cpus(const char *groups, const char *mounts, int affinity)
{
    static char text[8 * PATH_MAX], group_file[2 * PATH_MAX], mount_file[2 * PATH_MAX];
    size_t n = 0;
    for (const char *p = mounts; *p != '\0'; p++) {
        if (*p == '@')
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", tree);
        else
            text[n++] = *p;
        CHECK(n + PATH_MAX < sizeof text);
    }
    text[n] = '\0';
    strcpy(group_file, make_file("cgroup", groups));
    strcpy(mount_file, make_file("mountinfo", text));
    return oai_os_cpu_count_at(group_file, mount_file, affinity);
}

static void test_cpus_unified(void)
{
    const char *mounts = "22 1 0:5 / /proc rw - proc proc rw\n"
                         "30 22 0:26 / @/v2 rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    CHECK_EQ(cpus("0::/\n", mounts, 64), 64); // no file at all
    make_file("v2/a/b/cpu.max", "max 100000\n");
    CHECK_EQ(cpus("0::/a/b\n", mounts, 64), 64);
    make_file("v2/a/b/cpu.max", "250000 100000\n");
    CHECK_EQ(cpus("0::/a/b\n", mounts, 64), 3); // rounded up
    CHECK_EQ(cpus("0::/a/b\n", mounts, 2), 2);
    make_file("v2/a/cpu.max", "150000 100000\n");
    CHECK_EQ(cpus("0::/a/b\n", mounts, 64), 2); // the level above is tighter
    make_file("v2/cpu.max", "1000 100000\n");
    CHECK_EQ(cpus("0::/a/b\n", mounts, 64), 1); // the mount's own level counts; at least 1
    make_file("v2/cpu.max", "800000 100000\n");
    CHECK_EQ(cpus("0::/elsewhere\n", mounts, 64), 8); // a group without a folder: those above
    CHECK_EQ(cpus("0::/../other\n", mounts, 64), 8);  // out of our cgroup namespace
    CHECK_EQ(cpus("0::/ab\n", mounts, 64), 8);        // "/ab" is not below "/a"
    // Only /a is mounted, under a name with a space.
    make_file("of a/b/cpu.max", "500000 100000\n");
    const char *part = "30 22 0:26 /a @/of\\040a rw - cgroup2 cgroup2 rw\n";
    CHECK_EQ(cpus("0::/a/b\n", part, 64), 5);
    CHECK_EQ(cpus("0::/ab\n", part, 64), 64);
    CHECK_EQ(cpus("nonsense\n\n::\n", mounts, 64), 64);
    CHECK_EQ(cpus("0::/a/b\n", "nonsense\n - \n", 64), 64);
    make_file("v2/a/b/cpu.max", "");
    make_file("v2/a/cpu.max", "-3 0\n");
    CHECK_EQ(cpus("0::/a/b\n", mounts, 64), 8);
}

static void test_cpus_v1(void)
{
    const char *mounts = "31 22 0:27 / @/v1/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                         "32 22 0:28 / @/v1/cpuset rw - cgroup cgroup rw,cpuset\n";
    make_file("v1/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
    make_file("v1/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(cpus("5:cpuset:/x\n4:cpu,cpuacct:/x\n", mounts, 16), 16);
    make_file("v1/cpu,cpuacct/x/cpu.cfs_quota_us", "400000\n");
    CHECK_EQ(cpus("5:cpuset:/x\n4:cpu,cpuacct:/x\n", mounts, 16), 4);
    CHECK_EQ(cpus("4:cpuset:/x\n", mounts, 16), 16);
    CHECK_EQ(cpus("4:cpu,cpuacct:/x/below\n0::/\n", mounts, 16), 4);
}

static void test_cpus(void)
{
    snprintf(tree, sizeof tree, "/tmp/oasync-os-XXXXXX");
    CHECK(mkdtemp(tree) != NULL);
    test_cpus_unified();
    test_cpus_v1();
    CHECK_EQ(oai_os_cpu_count_at("/nonexistent", "/nonexistent", 5), 5);
    CHECK_EQ(oai_os_cpu_count_at("/nonexistent", "/nonexistent", 0), 1);
    char remove[PATH_MAX + 16];
    snprintf(remove, sizeof remove, "rm -r '%s'", tree);
    CHECK(system(remove) == 0);
    int count = oai_os_cpu_count();
    printf("%d CPUs\n", count);
    CHECK(count >= 1 && count <= sysconf(_SC_NPROCESSORS_CONF));
}

static void test_facts(void)
{
    CHECK(oai_os_page_size() >= 4096);
    CHECK(oai_os_max_map_count() > 0);
    setenv("OASYNC_TEST_OS", "yes", 1);
    CHECK(strcmp(oai_os_getenv("OASYNC_TEST_OS"), "yes") == 0);
    CHECK(oai_os_getenv("OASYNC_TEST_OS_NOT") == NULL);
    CHECK_EQ(oai_os.write(-1, "x", 1), -EBADF);
}

int main(void)
{
    int before = open_descriptors();
    test_memory();
    test_guard();
    test_probe_sees_through();
    test_guard_without_descriptors();
    test_time();
    test_thread_and_futex();
    test_wake_of_nothing();
    test_threads();
    test_membarrier();
    test_after_fork();
    test_cpus();
    test_facts();
    CHECK_EQ(open_descriptors(), before);
    return 0;
}
