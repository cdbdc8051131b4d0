load lib
setup() { project logging; }
teardown() { compose down -v -t 0 >/dev/null 2>&1; }

@test "journald: fields, labels, priorities, and compose logs beside it" {
  yaml <<'Y'
services: {a: {image: "@IMAGE@", init: true, command: sh -c 'echo to stdout; echo to stderr >&2; sleep 100000', labels: {team: blue}, logging: {driver: journald, options: {labels: team, tag: "{{.Name}}/x"}}}}
Y
  compose up -d
  wait_for 120 bash -c 'journalctl -q CONTAINER_NAME=logging-a-1 -o json | grep -q "to stderr"'
  local entry=$(journalctl -q CONTAINER_NAME=logging-a-1 -o json | jq -cs 'map(select(.MESSAGE == "to stdout"))[0]')
  local id=$(compose ps --no-trunc -q a)
  is "$(jq -r '[.CONTAINER_ID_FULL, .CONTAINER_ID, .CONTAINER_TAG, .SYSLOG_IDENTIFIER, .PRIORITY, .TEAM // .team] | join(" ")' <<<"$entry")" "$id ${id:0:12} logging-a-1/x logging-a-1/x 6 blue"
  is "$(journalctl -q CONTAINER_NAME=logging-a-1 PRIORITY=3 -o cat)" "to stderr"
  has "$(compose logs a)" "to stdout"
}

@test "syslog: the local socket, UDP and TCP" {
  cat >/etc/rsyslog.d/net.conf <<'R'
module(load="imudp")
module(load="imtcp")
input(type="imudp" address="127.0.0.1" port="5514")
input(type="imtcp" address="127.0.0.1" port="5515")
R
  systemctl restart rsyslog
  yaml <<'Y'
services:
  local: {image: "@IMAGE@", init: true, command: sh -c 'echo by socket; sleep 100000', logging: {driver: syslog, options: {tag: "t-{{.Name}}"}}}
  udp: {image: "@IMAGE@", init: true, command: sh -c 'echo by udp; sleep 100000', logging: {driver: syslog, options: {syslog-address: "udp://127.0.0.1:5514", syslog-facility: local3}}}
  tcp: {image: "@IMAGE@", init: true, command: sh -c 'echo by tcp; sleep 100000', logging: {driver: syslog, options: {syslog-address: "tcp://127.0.0.1:5515", syslog-format: rfc5424}}}
Y
  compose up -d
  for line in "t-logging-local-1.*by socket" "by udp" "by tcp"; do wait_for 120 grep -q "$line" /var/log/syslog; done
  has "$(compose logs)" "by tcp"
}
