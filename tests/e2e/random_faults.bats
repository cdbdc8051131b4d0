# Minutes of faults at random (random_faults.py): COMPOSE_LONG_TESTS=1, COMPOSE_LONG_MINUTES (10).
load lib

@test "guardian and supervisor killed and stopped at random under load: nothing is lost, doubled or left" {
  [[ ${COMPOSE_LONG_TESTS-} ]] || skip "takes minutes: COMPOSE_LONG_TESTS=1"
  python3 "$BATS_TEST_DIRNAME/random_faults.py" "${COMPOSE_LONG_MINUTES:-10}" >out 2>&1 3>&- || { cat out; return 1; }
  sed 's/^/# /' out >&3
}
