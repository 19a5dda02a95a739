/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/binary_links.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAX_HEADERS 64
#define MAX_ENTRIES 512
#define NAME_SIZE   64

struct program {
	int fd;
	ElfW(Phdr) headers[MAX_HEADERS];
	size_t n_headers;
	ElfW(Dyn) entries[MAX_ENTRIES];
	size_t n_entries;
};

static bool read_at(int fd, void *bytes, size_t size, off_t at)
{
	return pread(fd, bytes, size, at) == (ssize_t)size;
}

/* Of the machine's own kind: another one is for an emulator to load. */
static bool read_headers(struct program *program)
{
	ElfW(Ehdr) header;

	if (!read_at(program->fd, &header, sizeof(header), 0) ||
		memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
		header.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
		header.e_phentsize != sizeof(program->headers[0]) || header.e_phnum > MAX_HEADERS)
		return false;
	program->n_headers = header.e_phnum;
	return read_at(program->fd, program->headers,
		program->n_headers * sizeof(program->headers[0]), header.e_phoff);
}

static bool read_entries(struct program *program)
{
	size_t i;

	for (i = 0; i < program->n_headers; i++) {
		const ElfW(Phdr) *header = &program->headers[i];
		size_t n = header->p_filesz / sizeof(program->entries[0]);

		if (header->p_type != PT_DYNAMIC)
			continue;
		program->n_entries = n < MAX_ENTRIES ? n : MAX_ENTRIES;
		return read_at(program->fd, program->entries,
			program->n_entries * sizeof(program->entries[0]), header->p_offset);
	}
	return false;
}

/* Where in the file the address is loaded from; -1: nowhere. */
static off_t offset_of(const struct program *program, ElfW(Addr) address)
{
	size_t i;

	for (i = 0; i < program->n_headers; i++) {
		const ElfW(Phdr) *header = &program->headers[i];

		if (header->p_type == PT_LOAD && address >= header->p_vaddr &&
			address - header->p_vaddr < header->p_filesz)
			return header->p_offset + (address - header->p_vaddr);
	}
	return -1;
}

static off_t names_offset(const struct program *program)
{
	size_t i;

	for (i = 0; i < program->n_entries; i++) {
		if (program->entries[i].d_tag == DT_STRTAB)
			return offset_of(program, program->entries[i].d_un.d_ptr);
	}
	return -1;
}

bool binary_links(const char *binary, const char *library)
{
	_cleanup_(closep) int fd = open(binary, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct program program = { .fd = fd };
	char name[NAME_SIZE];
	off_t names;
	size_t i;

	if (fd < 0 || !read_headers(&program) || !read_entries(&program))
		return false;
	names = names_offset(&program);
	for (i = 0; names >= 0 && i < program.n_entries; i++) {
		if (program.entries[i].d_tag == DT_NEEDED && strlen(library) < sizeof(name) &&
			read_at(fd, name, strlen(library), names + program.entries[i].d_un.d_val) &&
			memcmp(name, library, strlen(library)) == 0)
			return true;
	}
	return false;
}
