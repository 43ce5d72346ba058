// SPDX-License-Identifier: GPL-2.0
/* Every way that a subtest of IGT can end, as far as our tests have it. */
#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "igt_core.h"

IGT_TEST_DESCRIPTION("Every way that a subtest can end");

static void left(int sig)
{
	(void)sig;
	puts("the exit handler was called");
}

static const char *word = "nothing";

static int option(int opt, int index, void *data)
{
	(void)index;
	(void)data;
	if (opt != 'w' || !*optarg)
		return IGT_OPT_HANDLER_ERROR;
	word = optarg;
	return IGT_OPT_HANDLER_SUCCESS;
}

static const struct option options[] = {
	{ "word", required_argument, NULL, 'w' },
	{ }
};

int igt_main_args("", options, "  --word WORD", option, NULL)
{
	igt_fixture()
		igt_install_exit_handler(left);

	igt_describe("With a description");
	igt_subtest("good") {
		igt_info("said\n");
		igt_debug("not said\n");
		igt_assert_eq(1, 1);
	}
	igt_subtest("option")
		igt_assert_f(!strcmp(word, "nothing"), "the word is %s\n", word);
	igt_subtest("bad")
		igt_assert_f(!igt_only_list_subtests() && false, "because of %d\n", 5);
	igt_subtest("bad-comparison")
		igt_assert_eq_u64(1, UINT64_MAX);
	igt_subtest("skipped")
		igt_skip("nothing there\n");
	igt_subtest("required")
		igt_require_f(false, "no %s\n", "device");
	igt_subtest("required-bare")
		igt_require(false);

	igt_subtest("children") {
		igt_fork(i, 3)
			igt_assert_lt(i, 3);
		igt_waitchildren();
	}
	igt_subtest("bad-child") {
		igt_fork(i, 3)
			igt_assert_neq(i, 1);
		igt_waitchildren();
	}
	igt_subtest("dead-child") {
		igt_fork(i, 2)
			abort();
		igt_waitchildren();
	}
	igt_subtest("children-left") {
		igt_fork(i, 2)
			sleep(1000);
		igt_assert(false);
	}
	igt_subtest("no-children-now")
		igt_waitchildren();

	igt_subtest_with_dynamic("dynamic") {
		igt_dynamic("first")
			igt_info("first\n");
		igt_dynamic("second")
			igt_info("second\n");
	}
	igt_subtest_with_dynamic("dynamic-bad") {
		igt_dynamic("first")
			igt_assert(false);
		igt_dynamic("second")
			igt_info("second\n");
	}
	igt_subtest_with_dynamic("dynamic-some") {
		igt_dynamic("first")
			igt_skip("nothing there\n");
		igt_dynamic("second")
			igt_info("second\n");
	}
	igt_subtest_with_dynamic("dynamic-skipped")
		igt_dynamic("first")
			igt_skip("nothing there\n");
	igt_subtest_with_dynamic("dynamic-none")
		;
	igt_subtest_with_dynamic("dynamic-required")
		igt_require_f(false, "no device\n");

	igt_fixture()
		igt_require_f(false, "no more\n");
	igt_fixture()
		puts("a fixture after one that skips");
	igt_subtest("after")
		igt_info("a subtest after a fixture that skips\n");
}
