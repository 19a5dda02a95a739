/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/disks/image.h"

/* A file's first bytes, given in two steps as the launcher reads them. */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	size_t first = len < 512 ? len : 512;
	struct error err = { 0 };
	struct image image;
	int code = image_parse(bytes, first, len, &image, &err);

	if (code == IMAGE_NEEDS_MORE) {
		if (image.needed <= first || image.needed > IMAGE_NEEDED_MAX || image.needed > len)
			abort();
		code = image_parse(bytes, image.needed, len, &image, &err);
	}
	if (code > 0 || (code < 0 && !*err.text))
		abort();
	if (code == 0 && (strlen(image.backing) > IMAGE_NAME_MAX ||
				 strlen(image.backing_format) > IMAGE_FORMAT_MAX ||
				 strlen(image.data_file) > IMAGE_NAME_MAX ||
				 !image_format_name(image.format)))
		abort();
	for (size_t i = 0; code == 0 && i < image.n_extents; i++) {
		if (!*image.extents[i].name || strlen(image.extents[i].name) > 511)
			abort();
	}
	if (code == 0)
		image_finish(&image);
	return 0;
}
