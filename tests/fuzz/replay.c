/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * replay FILE|DIRECTORY...: feed each file to the fuzz target that this is
 * linked with, so that every input that ever mattered is tried in CI, without
 * libFuzzer. Nothing to feed is an error: an empty corpus proves nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, off_t size_bytes)
{
	/* exactly as large as the input, so that the sanitizer sees an overrun */
	uint8_t *data = malloc((size_t)size_bytes + (size_bytes == 0));
	FILE *file = fopen(path, "re");
	int ret = 0;

	if (!data || !file || fread(data, 1, (size_t)size_bytes, file) != (size_t)size_bytes) {
		fprintf(stderr, "replay: read %s: %s\n", path, strerror(errno));
		ret = -1;
	} else {
		LLVMFuzzerTestOneInput(data, (size_t)size_bytes);
	}
	if (file)
		fclose(file);
	free(data);
	return ret;
}

static int replay_path(const char *path, size_t *n)
{
	struct dirent **entries = NULL;
	struct stat st;
	int count, ret = 0;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode)) {
		(*n)++;
		return replay_file(path, st.st_size);
	}

	count = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char child[4096];

		snprintf(child, sizeof(child), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' && replay_path(child, n) < 0)
			ret = -1;
		free(entries[i]);
	}
	free(entries);
	return count < 0 ? -1 : ret;
}

int main(int argc, char **argv)
{
	size_t n = 0;
	int ret = 0;

	for (int i = 1; i < argc; i++)
		if (replay_path(argv[i], &n) < 0)
			ret = -1;
	if (n == 0)
		fprintf(stderr, "replay: no input\n");
	printf("%zu inputs\n", n);
	return ret < 0 || n == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
