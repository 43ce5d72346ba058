/* SPDX-License-Identifier: MIT */
/* The part of IGT's device filters, --device, that the tests use. See igt_core.h. */
#ifndef IGT_DEVICE_SCAN_H
#define IGT_DEVICE_SCAN_H

#include <limits.h>
#include <stdbool.h>

/* There is more behind it, which depends on the version. */
struct igt_device_card {
	char subsystem[NAME_MAX];
	char card[NAME_MAX];
	char render[NAME_MAX];
	char more[1024];
};

int igt_device_filter_count(void);
const char *igt_device_filter_get(int num);
bool igt_device_card_match(const char *filter, struct igt_device_card *card);

#endif /* IGT_DEVICE_SCAN_H */
