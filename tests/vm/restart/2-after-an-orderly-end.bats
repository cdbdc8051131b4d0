load ../lib
setup() { project stays; }

@test "what its restart policy wants is back, what was stopped is not" {
  is "$(systemctl is-active compose-restore)" active
  is "$(status always) $(status polite) $(status stopped) $(status once)" "running running exited exited"
  cd ../other; is "$(status a)" running
}

@test "stop signals and grace periods were kept as the machine went down" {
  compose exec -T polite cat /data/ended | grep -qx "ended well"
  is "$(compose exec -T polite grep -c . /data/begun)" 2
}

@test "volumes, ports, networks, names and inline configs are there again" {
  is "$(curl -sS http://127.0.0.1:18080/)" kept
  is "$(compose exec -T polite wget -qO- http://always/)" kept
  is "$(compose exec -T always cat /etc/c)" "a config's text"
  has "$(compose up -d 2>&1)" "stays-always-1  Running"
}

@test "the power is cut in the midst of work" {
  project load
  yaml <<'Y'
services:
  churn: {image: "@IMAGE@", command: sh -c 'echo here; sleep 1; exit 1', restart: always}
  talk: {image: "@IMAGE@", init: true, command: sh -c 'while :; do echo a line of text; done', restart: always, logging: {options: {max-size: 1m}}}
  write: {image: "@IMAGE@", init: true, command: sh -c 'i=0; while :; do i=$$((i+1)); echo $$i >/data/n; sync; done', volumes: ["number:/data"], restart: always}
volumes: {number: {}}
Y
  compose up -d
  # commands under way too: containers, networks and volumes that are being made and removed, a pull and an image that goes
  for n in 1 2; do
    mkdir -p "/root/cut$n"
    sed "s|@IMAGE@|$IMAGE|g" >"/root/cut$n/compose.yaml" <<<'services: {x: {image: "@IMAGE@", init: true, command: sleep 1000, volumes: ["files:/v"]}, y: {image: "@IMAGE@", init: true, command: sleep 1000}}
volumes: {files: {}}'
    (cd "/root/cut$n"; while :; do compose up -d; compose down -v -t 0; done >/dev/null 2>&1 3>&- &)
  done
  (while :; do compose image pull "$COMPOSE_E2E_REGISTRY/e2e/large:1"; compose image rm "$COMPOSE_E2E_REGISTRY/e2e/large:1"; done >/dev/null 2>&1 3>&- &)
  wait_for 300 compose exec -T write test -s /data/n
  sleep 5
  echo "# machine: CUT" >&3
  sleep 1000
}
