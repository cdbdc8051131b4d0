# config: what needs a registry, a terminal, or a whole command line around the model.
load lib

@test "--resolve-image-digests pins what the registry has, --lock-image-digests is an override file that does the same" {
  yaml <<-'Y'
	services:
	  one: {image: "@IMAGE@"}
	  two: {image: "@REGISTRY@/e2e/busybox"}
	  own: {build: .}
	Y
  local digest; digest=$(curl -fsSI -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' \
    "http://$REGISTRY/v2/e2e/busybox/manifests/1" | tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')
  [[ $digest == sha256:* ]]
  sed -i "s|e2e/busybox\"|e2e/busybox@$digest\"|" compose.yaml
  run -0 compose config --resolve-image-digests
  has "$output" "image: $IMAGE@$digest"
  has "$output" "image: $REGISTRY/e2e/busybox@$digest"
  lacks "$output" "$digest@"
  compose config --lock-image-digests -o lock.yaml
  is "$(compose -f lock.yaml config --no-consistency --images | sort -u | tr '\n' ' ')" "$IMAGE@$digest $REGISTRY/e2e/busybox@$digest "
  compose -f compose.yaml -f lock.yaml config | grep -q "image: $IMAGE@$digest"
}

@test "an image that no registry has is an error at its place, and so is the next one" {
  yaml <<-'Y'
	services:
	  one: {image: "@REGISTRY@/e2e/nothing:1"}
	  two:
	    image: "@REGISTRY@/e2e/nothing:2"
	Y
  run ! compose config --resolve-image-digests
  has "$output" "compose.yaml:2:16: services.one.image: failed to resolve digest for $REGISTRY/e2e/nothing:1: "
  has "$output" "compose.yaml:4:12: services.two.image: failed to resolve digest for $REGISTRY/e2e/nothing:2: "
}

@test "a finding is one line in a pipe, has its line and a caret on a terminal, and is JSON for editors" {
  printf 'services:\n  web:\n    imagee: x\n' >compose.yaml
  run ! compose config -q
  is "$output" 'compose.yaml:3:5: services.web: unknown property "imagee" — did you mean "image"?'
  run ! timeout 60 "$BATS_TEST_DIRNAME/terminal" 24 100 "$PROGRAM" config -q </dev/null
  has "$output" '        imagee: x'
  has "$output" '        ^'
  run ! compose config -q --format json
  is "$(jq -r '[.severity, .file, .line, .column, .path] | join(" ")' <<<"$output")" "error compose.yaml 3 5 services.web"
}
