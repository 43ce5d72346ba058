/* SPDX-License-Identifier: MIT */
/*
 * The part of IGT's core that the tests use, declared for the libigt.so that
 * Debian packages without headers (intel-gpu-tools 1.27). It has the name of
 * the header in an IGT checkout, so that the include path alone decides which
 * of the two a build uses. igt_core.c is it for where there is no libigt.so.
 *
 * Rules that the library imposes:
 * - A subtest's name and description are kept by pointer: they must stay.
 * - A failing assertion leaves a subtest by siglongjmp(): a local of the
 *   function that holds the subtests must be static or volatile if it changes.
 *   Subtests are functions of their own here, which leaves none.
 * - Only the main thread may assert, require or skip.
 */
#ifndef IGT_CORE_H
#define IGT_CORE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef IGT_LOG_DOMAIN
#define IGT_LOG_DOMAIN NULL
#endif

#define IGT_EXIT_SUCCESS 0
#define IGT_EXIT_SKIP 77
#define IGT_EXIT_FAILURE 98

#define __igt_noreturn __attribute__((noreturn))
#define __igt_printf(fmt, args) __attribute__((format(printf, fmt, args)))

#define __igt_cat2(a, b) a##b
#define igt_tokencat(a, b) __igt_cat2(a, b)
#define igt_unique(prefix) igt_tokencat(igt_tokencat(__igt_, prefix), __LINE__)

extern jmp_buf igt_subtest_jmpbuf;
extern jmp_buf igt_dynamic_jmpbuf;

/* The program's one-line description; the library looks for this symbol. */
#define IGT_TEST_DESCRIPTION(str) const char *__igt_test_description = str

typedef int (*igt_opt_handler_t)(int opt, int opt_index, void *data);
#define IGT_OPT_HANDLER_SUCCESS 0
#define IGT_OPT_HANDLER_ERROR -2
struct option;

int igt_subtest_init_parse_opts(int *argc, char **argv, const char *short_opts,
				const struct option *long_opts,
				const char *help, igt_opt_handler_t handler,
				void *data);
__igt_noreturn void igt_exit(void);

/* Since IGT 2.3: int igt_main() { ... } */
#define igt_main_args(short_opts, long_opts, help, handler, data)	\
	main(int argc, char **argv);					\
	static void igt_unique(main)(void);				\
	int main(int argc, char **argv)					\
	{								\
		igt_subtest_init_parse_opts(&argc, argv, short_opts,	\
					    long_opts, help, handler,	\
					    data);			\
		igt_unique(main)();					\
		igt_exit();						\
	}								\
	static void igt_unique(main)(void)

#define igt_main() igt_main_args(NULL, NULL, NULL, NULL, NULL)

bool __igt_fixture(void);
void __igt_fixture_complete(void);

#define igt_fixture()							\
	for (volatile int igt_unique(done) = 0;				\
	     !igt_unique(done) && __igt_fixture() &&			\
	     !sigsetjmp(igt_subtest_jmpbuf, 1);				\
	     igt_unique(done) = 1, __igt_fixture_complete())

bool __igt_run_subtest(const char *name, const char *file, const int line);
bool __igt_enter_dynamic_container(void);
bool __igt_run_dynamic_subtest(const char *name);
void igt_success(void);
bool igt_only_list_subtests(void);

#define igt_subtest(name)						\
	for (; __igt_run_subtest((name), __FILE__, __LINE__) &&		\
	     !sigsetjmp(igt_subtest_jmpbuf, 1);				\
	     igt_success())

#define igt_subtest_with_dynamic(name)					\
	for (; __igt_run_subtest((name), __FILE__, __LINE__) &&		\
	     __igt_enter_dynamic_container() &&				\
	     !sigsetjmp(igt_subtest_jmpbuf, 1);				\
	     igt_success())

#define igt_dynamic(name)						\
	for (; __igt_run_dynamic_subtest(name) &&			\
	     !sigsetjmp(igt_dynamic_jmpbuf, 1);				\
	     igt_success())

__igt_printf(1, 2) void igt_describe_f(const char *fmt, ...);

#define igt_describe(text) igt_describe_f("%s", text)

__igt_noreturn __igt_printf(1, 2) void igt_skip(const char *fmt, ...);
__igt_noreturn __igt_printf(5, 6)
void __igt_skip_check(const char *file, const int line, const char *func,
		      const char *check, const char *fmt, ...);
__igt_noreturn __igt_printf(6, 7)
void __igt_fail_assert(const char *domain, const char *file, const int line,
		       const char *func, const char *assertion,
		       const char *fmt, ...);

#define __igt_fail(text, fmt...)					\
	__igt_fail_assert(IGT_LOG_DOMAIN, __FILE__, __LINE__, __func__,	\
			  text, fmt)

#define igt_assert(expr)						\
	do {								\
		if (!(expr))						\
			__igt_fail(#expr, NULL);			\
	} while (0)

#define igt_assert_f(expr, fmt...)					\
	do {								\
		if (!(expr))						\
			__igt_fail(#expr, fmt);				\
	} while (0)

#define __igt_assert_cmp(type, print, a, op, b)				\
	do {								\
		type __a = (a), __b = (b);				\
		if (!(__a op __b))					\
			__igt_fail(#a " " #op " " #b,			\
				   "error: not " print " " #op " " print "\n", \
				   __a, __b);				\
	} while (0)

#define igt_assert_eq(a, b) __igt_assert_cmp(int, "%d", a, ==, b)
#define igt_assert_neq(a, b) __igt_assert_cmp(int, "%d", a, !=, b)
#define igt_assert_lte(a, b) __igt_assert_cmp(int, "%d", a, <=, b)
#define igt_assert_lt(a, b) __igt_assert_cmp(int, "%d", a, <, b)
#define igt_assert_eq_u64(a, b)						\
	__igt_assert_cmp(unsigned long long, "%llu", a, ==, b)
#define igt_assert_lte_u64(a, b)					\
	__igt_assert_cmp(unsigned long long, "%llu", a, <=, b)

#define igt_require_f(expr, fmt...)					\
	do {								\
		if (!(expr))						\
			__igt_skip_check(__FILE__, __LINE__, __func__,	\
					 #expr, fmt);			\
	} while (0)

#define igt_require(expr) igt_require_f(expr, NULL)

bool __igt_fork(void);
void igt_waitchildren(void);

#define igt_fork(child, count)						\
	for (int child = 0; child < (count); child++)			\
		for (; __igt_fork(); exit(0))

typedef void (*igt_exit_handler_t)(int sig);
void igt_install_exit_handler(igt_exit_handler_t fn);

enum igt_log_level {
	IGT_LOG_DEBUG,
	IGT_LOG_INFO,
	IGT_LOG_WARN,
	IGT_LOG_CRITICAL,
	IGT_LOG_NONE,
};

__igt_printf(3, 4)
void igt_log(const char *domain, enum igt_log_level level,
	     const char *fmt, ...);

#define igt_debug(fmt...) igt_log(IGT_LOG_DOMAIN, IGT_LOG_DEBUG, fmt)
#define igt_info(fmt...) igt_log(IGT_LOG_DOMAIN, IGT_LOG_INFO, fmt)
#define igt_warn(fmt...) igt_log(IGT_LOG_DOMAIN, IGT_LOG_WARN, fmt)

#endif /* IGT_CORE_H */
