load ../lib

@test "projects that are to come back" {
  install -D -m 644 /opt/compose/scripts/compose-restore.service /usr/local/lib/systemd/system/compose-restore.service
  systemctl daemon-reload
  systemctl enable --now compose-restore
  project stays
  yaml <<'Y'
services:
  always: {image: "@IMAGE@", init: true, command: "httpd -f -p 80 -h /data", restart: always, ports: ["127.0.0.1:18080:80", "18081:80"],
    volumes: ["data:/data"], networks: [front, back], configs: [{source: c, target: /etc/c}]}
  polite: {image: "@IMAGE@", restart: unless-stopped, networks: [back], stop_signal: INT, volumes: ["data:/data"],
    command: sh -c 'trap "echo ended well >>/data/ended; exit 0" INT; echo begun >>/data/begun; while :; do sleep 1; done'}
  stopped: {image: "@IMAGE@", init: true, command: sleep 100000, restart: unless-stopped, networks: [back]}
  once: {image: "@IMAGE@", init: true, command: sleep 100000, networks: [back]}
networks: {front: {}, back: {internal: true}}
volumes: {data: {}}
configs: {c: {content: "a config's text"}}
Y
  compose up -d --wait
  compose exec -T always sh -c 'echo kept >/data/index.html'
  is "$(curl -sS http://127.0.0.1:18080/)" kept
  compose stop stopped
  # it goes on as the session that began it ends
  project other
  yaml <<<'services: {a: {image: "@IMAGE@", init: true, command: sleep 100000, restart: always}}'
  systemd-run --quiet --pipe --wait --collect --property=KillMode=control-group --working-directory="$PWD" --setenv=HOME=/root /usr/local/bin/compose up -d
  is "$(status a)" running
}
