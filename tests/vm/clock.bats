load lib
setup() { project clock; }
teardown() { compose --profile late down -v -t 0 >/dev/null 2>&1; }

@test "jumps of the clock: no storm, nothing hangs or ends early" {
  yaml <<'Y'
services:
  healthy: {image: "@IMAGE@", init: true, command: sleep 100000, healthcheck: {test: "echo probe >>/probes", interval: 2s, timeout: 60s, retries: 2}}
  again: {image: "@IMAGE@", init: true, command: sh -c "sleep 1; exit 3", restart: always}
  talks: {image: "@IMAGE@", init: true, command: sh -c 'i=0; while :; do i=$$((i+1)); echo tick $$i; sleep 1; done'}
  deaf: {image: "@IMAGE@", command: sh -c 'trap "" TERM; while :; do sleep 1; done'}
  late: {image: "@IMAGE@", init: true, command: sleep 100000, depends_on: {healthy: {condition: service_healthy}}, profiles: [late]}
Y
  compose up -d --wait healthy
  compose up -d
  timeout 3000 /usr/local/bin/compose logs -f talks >follow 2>&1 3>&- &
  wait_for 60 test -s follow
  restarts() { compose container inspect -f '{{.RestartCount}}' clock-again-1; }
  probes() { compose exec -T healthy sh -c 'wc -l </probes'; }
  for jump in "+1 day" "-1 day" "-10 years" "+10 years"; do
    local restarts=$(restarts) probes=$(probes) followed=$(wc -l <follow) began=$(uptime_seconds)
    date -s "$jump" >/dev/null
    until (($(wc -l <follow) > followed + 3 && $(probes) > probes + 1)); do (($(uptime_seconds) < began + 120)) || { echo "$jump: logs -f or the probes stand still" >&2; return 1; }; sleep 1; done
    has "$(compose ps healthy)" "(healthy)"
    local took=$(($(uptime_seconds) - began))
    (($(restarts) - restarts <= took + 1 && $(probes) - probes <= took + 1)) || { echo "$jump: a storm of restarts or probes" >&2; return 1; }
    began=$(uptime_seconds)
    compose stop -t 3 deaf
    took=$(($(uptime_seconds) - began))
    ((took >= 3 && took < 60)) || { echo "$jump: stop -t 3 took $took s" >&2; return 1; }
    is "$(compose wait deaf >/dev/null 2>&1; echo $?)" 137
    compose start deaf
    has "$(compose logs --no-log-prefix --tail 1 talks)" tick
    has "$(compose logs --no-log-prefix --since 20s talks)" tick
  done
  # a jump while a condition is waited for
  (sleep 2; date -s "-1 day") >/dev/null 3>&- &
  compose --profile late up -d --force-recreate healthy late
  is "$(status late)" running
}
