/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "base/cleanup.h"
#include "chain_fixture.h"

/* Files that are mapped into the guest. */

#define FILE_OF(more) "-object memory-backend-file,id=m,size=1M,mem-path=image" more
#define SHARED        FILE_OF(",share=on")
#define NVDIMM        " -device nvdimm,memdev=m"

static void a_mapped_file_is_locked_if_it_is_written_or_a_disk(void **state)
{
	static const char *const rows[][2] = {
		{ SHARED, "image exclusive" },
		{ "--object size=1M,mem-path=image,share,id=m,qom-type=memory-backend-file",
			"image exclusive" },
		{ "-object {'qom-type':'memory-backend-file','mem-path':'image','share':true}",
			"image exclusive" },
		{ SHARED ",share=off", "" },
		{ FILE_OF(""), "" },
		{ FILE_OF(" -machine memory-backend=m"), "" },
		{ FILE_OF(",readonly=on,share=on"), "" },
		{ SHARED NVDIMM, "image exclusive" },
		{ SHARED " -device virtio-pmem-pci,memdev=m", "image exclusive" },
		{ SHARED " -device {'driver':'nvdimm','memdev':'m'}", "image exclusive" },
		{ FILE_OF(NVDIMM), "image reader" },
		{ FILE_OF(",readonly=on,share=on" NVDIMM), "image reader" },
		/* several VMs have it, and that is what it is for */
		{ SHARED " -device ivshmem-plain,memdev=m", "image shared" },
		{ SHARED " -device ivshmem-plain,memdev=m -device pc-dimm,memdev=m",
			"image exclusive" },
		{ SHARED " -device ivshmem-plain,memdev=other", "image exclusive" },
		{ "-object memory-backend-memfd,id=m,size=1M,share=on", "" },
		{ "-object memory-backend-file,id=m,size=1M,share=on,mem-path=new", "" },
		{ "-object memory-backend-file,id=m,size=1M,share=on,mem-path=.", "" },
		{ "-object memory-backend-file,id=m,size=1M,share=on,mem-path=/dev/null",
			"; unlockable" },
		{ "-object secret,id=s,file=image", "" },
		{ "-mem-path image", "" },
		{ SHARED " -drive file=image,format=raw,readonly=on", "image exclusive" },
	};
	size_t i;

	(void)state;
	chain_put_raw("image");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		chain_expect(rows[i][0], rows[i][1]);
}

static void a_disk_that_is_mapped_is_told(void **state)
{
	static const struct {
		const char *words;
		bool maps_disk;
	} rows[] = {
		{ SHARED, false },
		{ SHARED NVDIMM, true },
		{ FILE_OF(NVDIMM), false },
	};
	size_t i;

	(void)state;
	chain_put_raw("image");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(disks_finish) struct disks disks = { 0 };

		assert_int_equal(chain_find(rows[i].words, &disks, NULL), 0);
		assert_int_equal(disks.line.maps_disk, rows[i].maps_disk);
	}
}

static void disks_of_other_programs_are_noted(void **state)
{
	(void)state;
	chain_expect("-device vhost-user-blk-pci,chardev=c", "; unlockable");
	chain_expect("-device vhost-user-scsi-pci,chardev=c", "; unlockable");
	chain_expect("-device vhost-scsi-pci,wwpn=x", "; unlockable");
	chain_expect("-device vhost-user-fs-pci,chardev=c", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_mapped_file_is_locked_if_it_is_written_or_a_disk,
			chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_disk_that_is_mapped_is_told, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			disks_of_other_programs_are_noted, chain_setup, chain_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
