# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the verbs tell about VMs that live, for people and as JSON."""

import json
import os

import locks
from deadline import wait_for
from vmtest import Follower, VmTest, main


class Verbs(VmTest):
    def setUp(self):
        super().setUp()
        self.disk_path = self.guest("writer")
        self.vm = self.running("web1", *self.drive(self.disk_path))

    def test_list_has_one_line_a_vm(self):
        self.running("web2", *self.drive(self.disk("two.raw")))
        self.does("pause", "web2")
        lines = [line for line in self.does("list").splitlines() if "web" in line]
        self.assertEqual(len(lines), 2, lines)
        self.assert_says("web1.*running.*held", lines[0])
        self.assert_says("web2.*paused.*released", lines[1])

    def test_list_as_json_names_each_vm(self):
        self.assertEqual([vm["name"] for vm in self.json("list")], ["web1"])

    def test_status_tells_run_state_lock_state_and_resources(self):
        said = self.does("status", "web1")
        for word in ("running", "held", str(self.disk_path), "exclusive"):
            self.assertIn(word, said)
        status = self.vm.status()
        self.assertEqual(status["run_state"], "running")
        self.assertEqual([resource["path"] for resource in status["resources"]],
                         [str(self.disk_path)])

    def test_status_exits_0_running_3_paused_and_not_0_for_nobody(self):
        self.assertEqual(self.vmlatch("status", "web1").status, 0)
        self.does("pause", "web1")
        result = self.vmlatch("status", "web1")
        self.assertEqual(result.status, 3)
        self.assert_says("user", result.out)
        self.assert_says("vmlatch resume", result.out)
        self.assertIn(self.vmlatch("status", "nobody").status, (4, 66))

    def test_who_names_the_holder_of_a_disk(self):
        said = self.does("who", self.disk_path)
        self.assert_says(f"{self.disk_path}.*web1", said)
        self.assertIn(str(self.vm.qemu), said)
        self.does("pause", "web1")
        self.assert_says(f"{self.disk_path}.*free", self.vmlatch("who", self.disk_path).out)

    def test_who_finds_a_holder_that_is_no_vm(self):
        disk = self.disk("other.raw")
        with locks.Held(disk, posix=True):
            self.assert_says(rf"{disk}: exclusive, .*\(pid {os.getpid()}\)", self.does("who", disk))

    def test_who_names_the_holder_of_a_lock_file_and_of_a_lease(self):
        space = self.dir / "locks" / "space"
        space.mkdir(parents=True, mode=0o700)
        lease = f"space:key:{space.parent}"
        self.assertEqual(self.does("who", lease), f"{lease}: free\n")
        self.assertEqual(os.listdir(space), [], "a look makes nothing")
        vm = self.running("web2", *self.drive(self.disk("two.raw")),
                          options=("--lockspace", str(space.parent), "--lease", lease, "--host-name", "kvm7"))
        lock_file = next(path for path in space.parent.iterdir() if path.is_file())
        for name in (lease, space / "key", lock_file):
            self.assert_says(rf"^{name}: exclusive, VM 'web2' \(host kvm7, pid {vm.qemu}, since",
                             self.does("who", name))
        self.assertEqual(self.json("who", lease)[0]["holder"]["vm"], "web2")
        self.does("pause", "web2")
        self.assert_says(": free", self.does("who", lease))
        self.fails(66, "who", f"space:key:{self.dir}/nowhere")

    def test_who_takes_a_file_with_colons_for_a_file(self):
        (self.dir / "a:b:").mkdir()
        disk = self.disk("a:b:/c.raw")
        self.assertEqual(self.does("who", "a:b:/c.raw", cwd=self.dir), "a:b:/c.raw: free\n")
        self.assertTrue(disk.exists())

    def test_who_of_a_missing_file_is_66(self):
        self.fails(66, "who", self.dir / "missing.raw")

    def test_inquire_is_one_line_that_changes_with_the_disk(self):
        first = self.does("inquire", "web1")
        self.assertEqual(len(first.splitlines()), 1)
        self.assertTrue(first.strip())

    def test_events_tell_pause_and_resume_in_order(self):
        events = Follower(self, "web1")
        self.does("pause", "web1")
        events.wait("STOP")
        events.wait_lock_state("released")
        self.does("resume", "web1")
        events.wait_lock_state("held")
        events.wait("RESUME")

    def test_events_are_json_lines_that_name_the_vm(self):
        self.does("pause", "web1")
        lines = self.does("events", "web1", "--since", "0").splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertEqual(json.loads(line)["vm"], "web1", line)

    def test_names_may_be_globs_and_the_first_failure_counts(self):
        self.running("web2", *self.drive(self.disk("two.raw")))
        self.does("pause", "web*")
        for name in ("web1", "web2"):
            self.assertEqual(self.status(name)["lock_state"], "released")
        with locks.Held(self.disk_path):
            self.fails(75, "resume", "web1", "web2")
        self.assertEqual(self.status("web2")["run_state"], "running", "each VM by itself")

    def test_stop_ends_the_vm_and_stopping_again_is_no_such_vm_or_fine(self):
        self.does("stop", "web1")
        self.assertEqual(self.vm.wait_end(), 0, self.vm.err)
        self.assert_free(self.disk_path)
        self.assertEqual(self.vmlatch("stop", "web1").status, 0, "stop of a stopped VM is done")

    def test_stop_shuts_a_guest_down_that_heeds_its_power_button(self):
        serial = self.dir / "serial"
        vm = self.running("web2", *self.drive(self.guest("powerbutton")), "-serial", f"file:{serial}")
        wait_for("the guest does not heed it", serial.read_bytes)
        self.assertEqual(self.does("stop", "web2", "--powerdown", "60"), "web2: stopped by powerdown\n")
        self.assertEqual(vm.wait_end(), 0, vm.err)

    def test_stop_does_not_press_the_power_button_of_a_paused_guest(self):
        self.does("pause", "web1")
        result = self.vmlatch("stop", "web1", "--powerdown", "60")
        self.assertEqual(result.out, "web1: stopped by quit\n")
        self.assert_says("powerdown did not work: the guest does not run", result.err)

    def test_events_since_a_number_begin_with_it(self):
        self.does("pause", "web1")
        seqs = [json.loads(line)["vmlatch-seq"] for line in self.does("events", "web1").splitlines()]
        last = [json.loads(line)["vmlatch-seq"]
                for line in self.does("events", "web1", "--since", seqs[-1]).splitlines()]
        self.assertEqual(last, seqs[-1:])
        self.does("resume", "web1")

    def test_control_socket_speaks_qmp(self):
        control = self.control("web1")
        self.assertEqual(control.status(), "running")
        control.command("stop")
        self.assertEqual(control.command("query-status")["running"], False)
        control.wait_event("VMLATCH_LOCK_STATE")
        self.assertTrue(control.command("vmlatch-status"))
        control.command("cont")
        self.assertEqual(control.status(), "running")


if __name__ == "__main__":
    main()
