// SPDX-License-Identifier: MIT
/*
 * What igt_core.h declares, for architectures that Debian has no libigt for.
 * It does the same as libigt 1.27 and prints the same lines, as far as the tests
 * and igt-ktap need. The options are --list-subtests, --run-subtest and the program's
 * own.
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "igt_core.h"
#include "igt_device_scan.h"

#define EXIT_INVALID 79		/* as libigt does for wrong arguments */
#define MAX_CHILDREN 256
#define MAX_HANDLERS 8

jmp_buf igt_subtest_jmpbuf;
jmp_buf igt_dynamic_jmpbuf;

/* In the order of what counts more when several become one */
enum result { NONE, SKIP, SUCCESS, FAIL };

static const char *const result_name[] = {
	[SKIP] = "SKIP", [SUCCESS] = "SUCCESS", [FAIL] = "FAIL",
};

struct level {
	const char *title;	/* as in "Subtest name: SUCCESS" */
	const char *name;	/* NULL if none is running */
	struct timespec begun;
};

static struct level subtest = { .title = "Subtest" };
static struct level dynamic = { .title = "Dynamic subtest" };
static bool container;		/* subtest is what its dynamic ones are */
static enum result in_container, in_all;
static enum result henceforth;	/* what a fixture has left of all that follows */

static bool list_only;
static const char *wanted;	/* patterns, with commas between them */

static pid_t children[MAX_CHILDREN];
static int num_children;
static bool is_child;

static igt_exit_handler_t handlers[MAX_HANDLERS];
static int num_handlers;

static enum result worse(enum result a, enum result b)
{
	return a > b ? a : b;
}

static void begin(struct level *level, const char *name)
{
	printf("Starting %s: %s\n", level == &subtest ? "subtest" : "dynamic subtest", name);
	fflush(stdout);
	level->name = name;
	clock_gettime(CLOCK_MONOTONIC, &level->begun);
}

static void print_result(struct level *level, const char *name, enum result result)
{
	struct timespec now, begun;

	clock_gettime(CLOCK_MONOTONIC, &now);
	begun = level->name ? level->begun : now;
	printf("%s %s: %s (%.3fs)\n", level->title, name, result_name[result],
	       now.tv_sec - begun.tv_sec + (now.tv_nsec - begun.tv_nsec) / 1e9);
	fflush(stdout);
	level->name = NULL;
}

static void kill_children(void)
{
	while (num_children) {
		kill(children[--num_children], SIGKILL);
		waitpid(children[num_children], NULL, 0);
	}
}

/* Leave what is running, to where its macro has called sigsetjmp() */
__igt_noreturn static void leave(enum result result)
{
	fflush(stdout);
	if (is_child)
		_exit(result == FAIL ? IGT_EXIT_FAILURE : IGT_EXIT_SUCCESS);
	kill_children();

	if (dynamic.name) {
		print_result(&dynamic, dynamic.name, result);
		in_container = worse(in_container, result);
		siglongjmp(igt_dynamic_jmpbuf, 1);
	}
	if (subtest.name) {
		if (container && result == SUCCESS) {
			result = worse(in_container, SKIP);
			if (result == SKIP)
				puts("No dynamic tests executed.");
		}
		container = false;
		print_result(&subtest, subtest.name, result);
		in_all = worse(in_all, result);
	} else {
		henceforth = result;
	}
	siglongjmp(igt_subtest_jmpbuf, 1);
}

/* ---- subtests and fixtures */

static bool is_wanted(const char *name)
{
	char patterns[4096], *save, *pattern;

	if (!wanted)
		return true;
	snprintf(patterns, sizeof(patterns), "%s", wanted);
	for (pattern = strtok_r(patterns, ",", &save); pattern;
	     pattern = strtok_r(NULL, ",", &save))
		if (!fnmatch(pattern, name, 0))
			return true;
	return false;
}

bool __igt_run_subtest(const char *name, const char *file, const int line)
{
	(void)file;
	(void)line;

	if (list_only)
		puts(name);
	if (list_only || !is_wanted(name))
		return false;

	if (henceforth != NONE) {
		print_result(&subtest, name, henceforth);
		in_all = worse(in_all, henceforth);
		return false;
	}
	in_container = NONE;
	begin(&subtest, name);
	return true;
}

bool __igt_enter_dynamic_container(void)
{
	container = true;
	return true;
}

bool __igt_run_dynamic_subtest(const char *name)
{
	begin(&dynamic, name);
	return true;
}

void igt_success(void)
{
	leave(SUCCESS);
}

bool igt_only_list_subtests(void)
{
	return list_only;
}

bool __igt_fixture(void)
{
	return !list_only && henceforth == NONE;
}

void __igt_fixture_complete(void)
{
	siglongjmp(igt_subtest_jmpbuf, 1);
}

void igt_describe_f(const char *fmt, ...)
{
	(void)fmt;
}

/* ---- what a test finds out */

#define print_args(fmt) do {						\
	va_list args;							\
									\
	va_start(args, fmt);						\
	vprintf(fmt, args);						\
	va_end(args);							\
} while (0)

void igt_skip(const char *fmt, ...)
{
	print_args(fmt);
	leave(SKIP);
}

void __igt_skip_check(const char *file, const int line, const char *func,
		      const char *check, const char *fmt, ...)
{
	int err = errno;

	printf("Test requirement not met in function %s, file %s:%d:\n"
	       "Test requirement: %s\n", func, file, line, check);
	if (fmt)
		print_args(fmt);
	if (err)
		printf("Last errno: %d, %s\n", err, strerror(err));
	leave(SKIP);
}

void __igt_fail_assert(const char *domain, const char *file, const int line,
		       const char *func, const char *assertion,
		       const char *fmt, ...)
{
	int err = errno;

	(void)domain;
	printf("Test assertion failure function %s, file %s:%d:\n"
	       "Failed assertion: %s\n", func, file, line, assertion);
	if (err)
		printf("Last errno: %d, %s\n", err, strerror(err));
	if (fmt)
		print_args(fmt);
	leave(FAIL);
}

void igt_log(const char *domain, enum igt_log_level level, const char *fmt, ...)
{
	(void)domain;
	if (level == IGT_LOG_DEBUG)
		return;
	print_args(fmt);
	fflush(stdout);
}

/* ---- children */

bool __igt_fork(void)
{
	pid_t pid;

	igt_assert(num_children < MAX_CHILDREN);
	fflush(NULL);
	pid = fork();
	igt_assert(pid >= 0);
	if (pid) {
		children[num_children++] = pid;
		return false;
	}
	is_child = true;
	num_children = 0;
	num_handlers = 0;
	return true;
}

void igt_waitchildren(void)
{
	int i, status, failed = 0;

	for (i = 0; i < num_children; i++) {
		while (waitpid(children[i], &status, 0) < 0 && errno == EINTR)
			;
		if (status) {
			printf("child %d failed with status %#x\n", i, status);
			failed++;
		}
	}
	num_children = 0;
	errno = 0;
	igt_assert(!failed);
}

/* ---- start and end */

static void call_handlers(int sig)
{
	while (num_handlers)
		handlers[--num_handlers](sig);
}

static void at_exit(void)
{
	call_handlers(0);
}

/* The handlers undo what outlives the process */
static void fatal_signal(int sig)
{
	call_handlers(sig);
	signal(sig, SIG_DFL);
	raise(sig);
}

void igt_install_exit_handler(igt_exit_handler_t fn)
{
	static const int fatal[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE,
				     SIGILL, SIGABRT, SIGFPE, SIGSEGV, SIGBUS };
	unsigned int i;

	igt_assert(num_handlers < MAX_HANDLERS);
	if (!num_handlers) {
		atexit(at_exit);
		for (i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
			signal(fatal[i], fatal_signal);
	}
	handlers[num_handlers++] = fn;
}

#define MAX_OPTIONS 16

enum { OPT_LIST = 500, OPT_RUN };	/* a program's own options are below */

int igt_subtest_init_parse_opts(int *argc, char **argv, const char *short_opts,
				const struct option *long_opts, const char *help,
				igt_opt_handler_t handler, void *data)
{
	struct option options[MAX_OPTIONS + 3] = {
		{ "list-subtests", no_argument, NULL, OPT_LIST },
		{ "run-subtest", required_argument, NULL, OPT_RUN },
	};
	int i, opt, index;

	for (i = 0; i < MAX_OPTIONS && long_opts && long_opts[i].name; i++)
		options[i + 2] = long_opts[i];
	while ((opt = getopt_long(*argc, argv, short_opts ?: "", options, &index)) != -1) {
		if (opt == OPT_LIST) {
			list_only = true;
		} else if (opt == OPT_RUN) {
			wanted = optarg;
		} else if (opt == '?' || handler(opt, index, data) == IGT_OPT_HANDLER_ERROR) {
			fprintf(stderr, "%s [--list-subtests] [--run-subtest PATTERN,...]\n%s\n",
				argv[0], help ?: "");
			exit(EXIT_INVALID);
		}
	}
	return 0;
}

/* There is no --device here. */
int igt_device_filter_count(void)
{
	return 0;
}

const char *igt_device_filter_get(int num)
{
	(void)num;
	return NULL;
}

bool igt_device_card_match(const char *filter, struct igt_device_card *card)
{
	(void)filter;
	(void)card;
	return false;
}

void igt_exit(void)
{
	if (list_only)
		exit(IGT_EXIT_SUCCESS);
	if (in_all == NONE && wanted) {
		fprintf(stderr, "There is no subtest %s\n", wanted);
		exit(EXIT_INVALID);
	}
	exit(in_all == FAIL ? IGT_EXIT_FAILURE :
	     in_all == SUCCESS ? IGT_EXIT_SUCCESS : IGT_EXIT_SKIP);
}
