# Attempts from inside a container, or through a command on it, to reach the host. Named after the incidents.
load lib

container() { timeout "${LIMIT:-120}" "$PROGRAM" container "$@"; }
teardown() {
  local ids
  ids=$(timeout 60 "$PROGRAM" container ls -aq) || return 0
  [[ ! $ids ]] || timeout 60 "$PROGRAM" container rm -fv $ids >/dev/null
}

@test "cve_2020_15257 no socket of the engine is abstract, others cannot open those with a path" {
  container run -d --name up --network host "$IMAGE" sleep 1000
  # seen with the host's network: an abstract name begins with @
  is "$(container exec up sh -c 'cut -c54- /proc/net/unix' | grep '^ *@' | grep -ci compose)" 0
  local sockets found=0; sockets=$(find /run/compose -name '*.sock' -type s 2>/dev/null) || true
  for socket in $sockets; do
    local mode; mode=$(stat -c %a "$socket" "$(dirname "$socket")" 2>/dev/null | tr '\n' ' ') || continue  # of another run, gone meanwhile
    is "$mode" "600 700 "
    found=1
  done
  is "$found" 1
}

@test "cve_2021_41089 cve_2018_15664 cp through a link of the container changes nothing on the host" {
  mkdir host; echo host >host/file; chmod 640 host/file; chmod 750 host
  container run --name links "$IMAGE" sh -c "mkdir -p $PWD; ln -s $PWD/host /link; ln -s $PWD/host/file /to-file; ln -s ../../../../../../../..$PWD/host/file /up"
  echo evil >evil
  container cp evil links:/link/new || true
  container cp evil links:/to-file || true
  container cp evil links:/up || true
  is "$(ls host)" file
  is "$(cat host/file)" host
  is "$(stat -c %a host/file host | tr '\n' ' ')" "640 750 "
  container cp -L links:/to-file stolen || true
  fails grep -q host stolen
}

@test "cve_2019_14271 cve_2026_41567 cp runs no program and loads no library of the container" {
  container run --name tools "$IMAGE" sh -c 'for p in xz unpigz gzip tar sh; do rm -f /bin/$p; printf "#!/bin/busybox sh\ntouch /ran-$p\n" > /usr/bin/$p; chmod 755 /usr/bin/$p; done'
  mkdir in; echo data >in/file; tar -C in -czf in.tgz file
  container cp in tools:/tmp/
  container cp - tools:/tmp <in.tgz || true
  container cp tools:/tmp/in/file out
  is "$(cat out)" data
  is "$(container diff tools | grep -c ran-)" 0
  fails ls /ran-*
}

@test "cve_2026_41568 cve_2026_42306 cp into a stopped container makes no mount and no mount point" {
  mkdir host
  container create --name mounts -v "$PWD/host:/deep/er/place" -v /var/anonymous "$IMAGE" true
  local before; before=$(wc -l </proc/self/mountinfo)
  echo x >x
  container cp x mounts:/tmp/x
  container cp mounts:/tmp/x y
  is "$(cat y)" x
  is "$(wc -l </proc/self/mountinfo)" "$before"
}

@test "cve_2020_1726 a volume with content is not written over by the image's" {
  container run --rm -v full:/etc "$IMAGE" sh -c 'rm /etc/passwd; echo mine > /etc/mine'
  is "$(container run --rm -v full:/etc "$IMAGE" sh -c 'ls /etc/passwd /etc/mine 2>/dev/null')" /etc/mine
}

@test "fork bombs, open files and memory end at the limits asked for" {
  run container run --rm --pids-limit 20 "$IMAGE" sh -c 'i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done 2>/tmp/errors; wait 2>/dev/null; grep -c . /tmp/errors'
  [[ $status -ne 0 || $output -gt 0 ]]
  run -137 container run --name greedy -m 16m "$IMAGE" sh -c 'tail /dev/zero'
  is "$(container inspect -f '{{.State.OOMKilled}}' greedy)" true
}
