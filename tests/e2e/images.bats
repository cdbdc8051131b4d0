# Images in the engine and in archives, and what pulls survive: kills, full disks, moving tags.
load lib
load registries

setup_file() {
  begin faults "$TOOLS" faults "$FAULTY" "$REGISTRY" "$SERVERS/faults.log"
  wait_for 60 bash -c ": </dev/tcp/${FAULTY%:*}/${FAULTY#*:}"
}
teardown_file() { stop_registries; }

copy() { skopeo copy -q --insecure-policy --src-tls-verify=false --dest-tls-verify=false "$@"; }
# layers IMAGE: diff ids in the engine; layers_at REGISTRY-IMAGE: what a registry's image says
layers() { compose image inspect --format '{{json .RootFS.Layers}}' "$1"; }
layers_at() { skopeo inspect --tls-verify=false --config --raw "docker://$1" | jq -c .rootfs.diff_ids; }
whole() { has "$(compose image verify)" "all is whole"; }

@test "what skopeo writes is loaded: docker-archive, OCI archive and folder, packed; from files and standard input" {
  fresh
  copy "docker://$IMAGE" docker-archive:d.tar:from/docker:1
  copy "docker://$IMAGE" oci-archive:o.tar:from/oci:1
  copy "docker://$IMAGE" oci:folder:from/folder:1
  copy --dest-compress-format zstd --dest-force-compress-format "docker://$IMAGE" oci-archive:z.tar:from/zstd:1 2>/dev/null ||
    copy --dest-compress-format zstd "docker://$IMAGE" oci-archive:z.tar:from/zstd:1
  local want; want=$(layers_at "$IMAGE")
  is "$(compose image load -i d.tar)" "Loaded image: from/docker:1"
  is "$(compose image load <o.tar)" "Loaded image: from/oci:1"
  is "$(compose image load -i folder)" "Loaded image: from/folder:1"
  is "$(compose image load -i z.tar)" "Loaded image: from/zstd:1"
  is "$(gzip -c d.tar | compose image load)" "Loaded image: from/docker:1"
  is "$(zstd -q -c o.tar | compose image load)" "Loaded image: from/oci:1"
  run ! compose image load < <(python3 -c 'import lzma,sys; sys.stdout.buffer.write(lzma.compress(open("d.tar","rb").read(), preset=0))')
  has "$output" "xz -dc"
  local name; for name in docker oci folder zstd; do is "$(layers "from/$name:1")" "$want"; done
  whole
}

@test "what we write is read by skopeo: save as docker-archive and OCI, push with the digest kept" {
  fresh
  compose image pull -q "$IMAGE"
  local want; want=$(layers_at "$IMAGE")
  compose image save "$IMAGE" >s.tar
  copy docker-archive:s.tar "docker://$REGISTRY/e2e/saved:docker"
  copy oci-archive:s.tar:1 "docker://$REGISTRY/e2e/saved:oci"
  mkdir folder; tar -xf s.tar -C folder; copy oci:folder:1 "docker://$REGISTRY/e2e/saved:folder"
  compose image save -o named.tar "$IMAGE"; cmp s.tar named.tar
  local tag; for tag in docker oci folder; do is "$(layers_at "$REGISTRY/e2e/saved:$tag")" "$want"; done
  compose image tag "$IMAGE" "$REGISTRY/e2e/pushed:1"
  compose image push -q "$REGISTRY/e2e/pushed:1"
  is "$(digest_of "$REGISTRY/e2e/pushed:1")" "$(digest_of "$IMAGE")"
  has "$(compose image inspect "$IMAGE")" "e2e/busybox@$(digest_of "$IMAGE")"
}

@test "commit makes an image that skopeo reads and that runs after push and pull" {
  yaml <<<'services: {a: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL, labels: {mine: "yes"}}}'
  compose up -d
  compose exec -T a sh -c 'echo kept >/note; rm /bin/vi; mkdir /etc/deep; chmod 1777 /etc/deep'
  local name=$REGISTRY/e2e/committed:1
  compose commit -m why -a me -c 'ENV WORD=said' a "$name"
  compose image push -q "$name"
  copy "docker://$name" oci-archive:c.tar:1
  is "$(skopeo inspect --tls-verify=false --config "docker://$name" | jq -r '[.author, .history[-1].comment, .config.Labels.mine] | join(" ")')" "me why yes"
  compose down
  compose image rm "$name"
  yaml <<<"services: {a: {image: '$name', command: [sh, -c, 'cat /note; echo \$\$WORD; stat -c %a /etc/deep; test ! -e /bin/vi']}}"
  is "$(compose run --rm -T a | xargs)" "kept said 1777"
}

@test "export and import, inspect, history, tag, rm, ls" {
  yaml <<<'services: {a: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL}}'
  compose up -d
  local id; id=$(compose export a | compose image import -m moved -c 'CMD ["cat", "/etc/group"]' - "imported-$PROJECT:1")
  [[ $id == sha256:* ]]
  is "$(compose image inspect -f '{{.Id}} {{json .Config.Cmd}}' "imported-$PROJECT:1")" "$id [\"cat\",\"/etc/group\"]"
  is "$(compose image inspect "imported-$PROJECT:1" | jq -c '.[0] | [.RepoTags, (.RootFS.Layers | length)]')" "[[\"imported-$PROJECT:1\"],1]"
  is "$(compose image history --format '{{.Comment}}' "imported-$PROJECT:1")" moved
  has "$(compose image history "$IMAGE")" "CREATED BY"
  compose image tag "imported-$PROJECT:1" "other-$PROJECT:2"
  has "$(compose image ls)" "other-$PROJECT"
  run ! compose image rm "$IMAGE"
  has "$output" "is using its referenced image"
  has "$(compose image rm "imported-$PROJECT:1")" "Untagged: imported-$PROJECT:1"
  has "$(compose image rm "other-$PROJECT:2")" "Deleted: $id"
  run ! compose image inspect "other-$PROJECT:2"
  has "$output" "No such image"
}

@test "cve_2026_53488: labels of an image are never a container's, nor do they make it another project's" {
  compose image pull -q "$IMAGE"
  yaml <<<'services: {a: {image: "@IMAGE@", command: sleep 1000, stop_signal: SIGKILL}}'
  compose up -d
  compose export a | compose image import -c 'LABEL com.docker.compose.project=victim com.docker.compose.service=db' -c 'CMD ["sleep", "1000"]' - "labelled-$PROJECT:1" >/dev/null
  compose down
  yaml <<<"services: {a: {image: 'labelled-$PROJECT:1', stop_signal: SIGKILL}}"
  compose up -d
  is "$(compose ps --format '{{.Project}} {{.Service}}')" "$PROJECT a"
  fails grep -qx victim <<<"$(compose ls -q --all)"
  compose down
  compose image rm "labelled-$PROJECT:1"
}

@test "verify finds what is damaged, --repair fetches and unpacks it again" {
  fresh
  compose image pull -q "$IMAGE"
  whole
  echo changed >"$(echo "$COMPOSE_ROOT"/layers/*/etc/passwd)"
  run ! compose image verify "$IMAGE"
  has "$output" "differ from what was pulled"
  has "$(compose image verify --repair)" "unpacked again"
  whole
  local blob; blob=$(ls -S "$COMPOSE_ROOT"/images/blobs/sha256/* | head -n 1)
  echo rot >"$blob"
  run ! compose image verify
  has "$(compose image verify --repair)" "fetched again"
  whole
}

@test "system df counts, system prune takes what no container uses" {
  fresh
  yaml <<<'services: {a: {image: "@IMAGE@", command: "true", volumes: [/data]}}'
  compose up
  compose image pull -q "$REGISTRY/e2e/large:1"
  is "$(compose system df --format '{{.Type}} {{.TotalCount}} {{.Active}}' | head -n 3 | tr '\n' ';')" "Images 2 1;Containers 1 0;Local Volumes 1 1;"
  has "$(compose system df -v)" "$PROJECT-a-1"
  is "$(compose system prune </dev/null 2>/dev/null)" ""
  is "$(compose ps -aq | wc -l)" 1
  compose image rm "$REGISTRY/e2e/large:1"
  local said; said=$(compose system prune --force --all --volumes)
  has "$said" "Deleted Containers:"; has "$said" "${PROJECT}_default"; has "$said" "Deleted Volumes:"; has "$said" "Total reclaimed space: "
  is "$(compose ps -aq; compose image ls -q)" ""
  is "$(ls "$COMPOSE_ROOT/layers")" ""
}

@test "pull policies: missing keeps, always and an age that has passed renew; --policy, --include-deps, -q" {
  fresh
  local name=$REGISTRY/e2e/moving:1 config
  config() { compose image inspect -f '{{.Id}}' "$name"; }
  copy "docker://$IMAGE" "docker://$name"
  yaml <<<"services: {a: {image: '$name', pull_policy: \$POLICY, depends_on: [b]}, b: {image: '$REGISTRY/e2e/large:1'}}"
  run -0 env POLICY=missing "$PROGRAM" pull --include-deps -q a
  is "$output" ""
  is "$(compose image ls -q | wc -l)" 2
  local old; old=$(config)
  copy "docker://$REGISTRY/e2e/large:1" "docker://$name"
  local policy; for policy in missing never daily weekly every_12h; do POLICY=$policy compose create; is "$(config)" "$old"; done
  POLICY=missing compose pull --policy missing a; is "$(config)" "$old"
  renewed() { POLICY=every_1s compose create; fails is "$(config)" "$old"; }
  wait_for 60 renewed
  copy "docker://$IMAGE" "docker://$name"
  POLICY=always compose create
  is "$(config)" "$old"
  POLICY=missing compose down
}

@test "the progress of a pull: plain lines elsewhere, each layer with bytes and rate on a terminal" {
  fresh
  faults '{"what": "delay", "after": 1000000, "seconds": 0.05, "times": 9}'
  yaml <<<"services: {a: {image: '$FAULTY/e2e/large:1'}}"
  run -0 compose pull
  is "$output" " a Pulling 
 a Pulled "
  fresh
  run -0 timeout 120 "$BATS_TEST_DIRNAME/terminal" 30 100 "$PROGRAM" pull <<-'S'
	wait Downloading
	wait MB /
	wait B/s
	wait Pulled
	S
  faults '{"what": ""}'
}

@test "a pull killed with -9 at random moments leaves what verify finds whole, and completes (COMPOSE_TEST_KILLS times, 20)" {
  fresh
  local i pid ended=0
  for ((i = 0; i < ${COMPOSE_TEST_KILLS:-20}; i++)); do
    "$PROGRAM" image pull -q "$REGISTRY/e2e/large:1" >/dev/null 2>&1 3>&- & pid=$!
    sleep "0.$(printf %03d $((RANDOM % 350)))"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null && ended=$((ended + 1))
    if ((i % 5 == 4)); then compose image verify >said || { cat said; false; }; fi
    if [[ $(compose image ls -q) ]]; then compose image rm "$REGISTRY/e2e/large:1" >/dev/null; fi
  done
  echo "# of $i pulls $((i - ended)) were killed, the others had ended" >&3
  compose image verify >said || { cat said; false; }
  compose image pull -q "$REGISTRY/e2e/large:1"
  has "$(compose image verify)" "2 layers verified: all is whole"
  is "$(ls "$COMPOSE_ROOT/images/tmp")" ""
  is "$(layers "$REGISTRY/e2e/large:1")" "$(layers_at "$REGISTRY/e2e/large:1")"
}

@test "four processes pull at once while others prune: each layer is fetched once, and all is whole" {
  fresh
  faults '{"what": ""}'
  : >"$SERVERS/faults.log"
  local i pids=()
  for i in 1 2 3 4; do compose image pull -q "$FAULTY/e2e/large:1" >"out$i" 2>&1 3>&- & pids+=($!); done
  for i in 1 2 3; do compose image prune -f >/dev/null; done
  for i in "${pids[@]}"; do wait "$i" || { cat out*; false; }; done
  local layer; for layer in $(skopeo inspect --tls-verify=false "docker://$REGISTRY/e2e/large:1" | jq -r '.Layers[]'); do is "$(grep -c "GET .*/blobs/$layer" "$SERVERS/faults.log")" 1; done
  compose image prune -f >/dev/null
  has "$(compose image verify)" "2 layers verified: all is whole"
}

@test "a full disk during a pull is one clear error, nothing of the layer is left, and the pull completes once there is room" {
  mkdir small
  mount -t tmpfs -o size=20m tmpfs small
  export COMPOSE_ROOT=$PWD/small/root
  run compose image pull "$REGISTRY/e2e/large:1"
  local failed=$status said=$output left; left=$(find small/root/images/tmp -mindepth 1; find small/root/layers -name noise)
  mount -o remount,size=200m small
  run compose image pull -q "$REGISTRY/e2e/large:1"
  local then=$status verified; verified=$(compose image verify)
  umount small || umount -l small
  is "$failed" 1
  has "${said,,}" "no space left"; has "$said" "$REGISTRY/e2e/large:1"
  is "$left" ""
  is "$then" 0
  has "$verified" "2 layers verified: all is whole"
}
