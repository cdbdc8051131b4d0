# Side by side with Docker, where one answers (DOCKER_HOST or its usual socket): what a default container may do is never more.
load lib

peer() { timeout 120 docker "$@"; }

setup_file() {
  command -v docker >/dev/null && timeout 20 docker version >/dev/null 2>&1 || return 0
  cc -O1 -static -w -o "$BATS_FILE_TMPDIR/probe" "$BATS_TEST_DIRNAME/syscall_probe.c"
  local root=$BATS_FILE_TMPDIR/root
  mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp}
  cp "$(command -v busybox)" "$root/bin/busybox"; cp "$BATS_FILE_TMPDIR/probe" "$root/bin/probe"
  for applet in sh cat grep sort sed cut ls find mount stat id; do ln -s busybox "$root/bin/$applet"; done
  tar -C "$root" -c . >"$BATS_FILE_TMPDIR/root.tar"
  peer import - compose-peer-probe:1 <"$BATS_FILE_TMPDIR/root.tar" >/dev/null
  "$PROGRAM" image import - compose-peer-probe:1 <"$BATS_FILE_TMPDIR/root.tar" >/dev/null
}
teardown_file() { timeout 60 docker image rm -f compose-peer-probe:1 >/dev/null 2>&1 || true; }

setup() {
  [[ -e $BATS_FILE_TMPDIR/probe ]] || skip "no Docker here"
  PROJECT=peer
  mkdir -p "$BATS_TEST_TMPDIR/$PROJECT"
  cd "$BATS_TEST_TMPDIR/$PROJECT" || return 1
}

# both ARG…: runs the same container here and there; their outputs are left in ours and theirs
both() {
  compose container run --rm "$@" >ours
  peer run --rm "$@" >theirs
}

@test "capabilities, filter mode and no_new_privs are the peer's" {
  for options in "" "-u 1000" "--cap-drop ALL" "--cap-add NET_ADMIN --cap-drop CHOWN" "--security-opt no-new-privileges" "--privileged"; do
    both $options compose-peer-probe:1 grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
    diff -u theirs ours || { echo "with options: $options"; false; }
  done
}

@test "masked and read-only paths are the peer's" {
  # target, file system, writable or not; of a mask only what it is, /dev/null or an empty folder
  both compose-peer-probe:1 sh -c "sed 's/ shared:[0-9]*//' /proc/self/mountinfo | cut -d' ' -f5,6 | grep -E '^/(proc|sys)' | sed 's/,.*//' | sort -u"
  grep -v '^/sys/fs/cgroup' theirs | sort >theirs.sorted; grep -v '^/sys/fs/cgroup' ours | sort >ours.sorted
  # every path that the peer hides or closes is hidden or closed here
  is "$(comm -23 theirs.sorted ours.sorted)" ""
  both compose-peer-probe:1 sh -c 'cat /proc/kcore /proc/keys /proc/timer_list /proc/latency_stats 2>/dev/null | wc -c 2>/dev/null; ls /proc/scsi /proc/acpi /sys/firmware 2>/dev/null; for f in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/kernel/mm/ksm/run /sys/fs/cgroup/x; do (echo x >$f) 2>/dev/null && echo "$f writable"; done; :'
  diff -u theirs ours
}

@test "every system call that the peer's default filter refuses is refused here" {
  both compose-peer-probe:1 probe
  # refused: EPERM (1) or ENOSYS (38) from the filter; ours may refuse more, never less
  grep -E ' errno (1|38)$' theirs | cut -d' ' -f1 | sort >their-refusals
  grep -E ' errno (1|38)$' ours | cut -d' ' -f1 | sort >our-refusals
  [[ $(wc -l <their-refusals) -gt 40 ]]
  is "$(comm -23 their-refusals our-refusals | tr '\n' ' ')" ""
  echo "refused here alone: $(comm -13 their-refusals our-refusals | tr '\n' ' ')"
}
