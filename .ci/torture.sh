# `./dev torture`: fault scenarios, which are tests in tests/crash. `dev` reads this file.
#
# A test appends its figures to target/torture/results.jsonl. With --write they are added to docs/reliability.jsonl, and
# docs/reliability.md is generated from all runs.

readonly TORTURE_DIR=${CARGO_TARGET_DIR:-target}/torture
readonly SCENARIOS=(kills kills-sockets kills-operators kills-native kills-upstream power damage clock disk descriptors sockets services requests fuzz)
# Without --rounds: each takes some seconds, all of them less than five minutes.
readonly SHORT_ROUNDS="kills=20 kills-sockets=20 kills-operators=20 kills-native=10 kills-upstream=5 power=30 damage=3 clock=8 sockets=300"

torture() {
  local rounds= seed= minutes= write= names=() name failed=()
  while [[ $# -gt 0 ]]; do
    case $1 in
      --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
      --seed) seed=${2:?--seed needs a number}; shift 2 ;;
      --minutes) minutes=${2:?--minutes needs a number}; shift 2 ;;
      --write) write=1; shift ;;
      -*) die "unknown option $1; see ./dev help" ;;
      *)
        [[ " ${SCENARIOS[*]} " == *" $1 "* ]] || die "no scenario $1; there are: ${SCENARIOS[*]}"
        names+=("$1"); shift ;;
    esac
  done
  [[ $rounds$seed$minutes =~ ^[0-9]*$ ]] || die "--rounds, --seed and --minutes need numbers"
  if [[ ${#names[@]} -eq 0 ]]; then
    names=("${SCENARIOS[@]}")
    # In their short form they are the stage `random` of ./dev test --slow.
    [[ -n $rounds ]] || names=("${names[@]/requests/}")
  fi
  need_rust
  need_nextest
  mkdir -p "$TORTURE_DIR"
  local results
  results=$(realpath "$TORTURE_DIR")/results.jsonl
  rm -f "$results"
  # Thousands of sockets, each with two ends.
  ulimit -n "$(ulimit -Hn)"
  for name in ${names[*]}; do
    say "dev: torture $name"
    run_scenario "$name" || failed+=("$name")
  done
  if [[ -n $write && -s $results ]]; then
    cat "$results" >>docs/reliability.jsonl
    WHARF_WRITE_DOCS=1 crash_tests 'test(=reliability::document_has_all_runs)'
  fi
  [[ ${#failed[@]} -eq 0 ]] || die "failed: ${failed[*]}"
}

# rounds_of NAME: those that were asked for, else those of the short form.
rounds_of() {
  local short
  [[ -z $rounds ]] || { printf '%s' "$rounds"; return; }
  for short in $SHORT_ROUNDS; do
    [[ $short != "$1="* ]] || printf '%s' "${short#*=}"
  done
}

# crash_tests FILTER ARGS…: tests of the program tests/crash, without a time limit.
crash_tests() {
  local filter=$1 status=0 report=${CARGO_TARGET_DIR:-target}/nextest/torture/junit.xml
  shift
  rm -f "$report"
  cargo nextest run "${TEST_BUILD[@]}" --profile torture --success-output never --final-status-level slow \
    --show-progress none "$@" -E "$filter" || status=$?
  # A stage of CI counts the tests.
  [[ -z ${STAGE:-} || ! -e $report ]] || cp "$report" "$CI_DIR/$STAGE.$(date +%s%N).xml"
  return $status
}

# counted NAME FILTER [VARIABLE=VALUE…]: tests that count rounds and record their figures.
counted() {
  local name=$1 filter=$2 settings=() status=0 before=0
  shift 2
  [[ ! -e $results ]] || before=$(wc -l <"$results")
  [[ -z $(rounds_of "$name") ]] || settings+=("WHARF_CRASH_ROUNDS=$(rounds_of "$name")")
  [[ -z $seed ]] || settings+=("WHARF_CRASH_SEED=$seed")
  (
    export WHARF_TORTURE_RESULTS=$results WHARF_TORTURE_COMMIT WHARF_TORTURE_MACHINE
    WHARF_TORTURE_COMMIT=$(commit)
    WHARF_TORTURE_MACHINE=$(machine)
    [[ $((${#settings[@]} + $#)) -eq 0 ]] || export "${settings[@]}" "$@"
    crash_tests "binary(crash) & ($filter)"
  ) || status=1
  [[ ! -e $results ]] || tail -n +$((before + 1)) "$results"
  return $status
}

# repeated NAME FILTER: tests that do not count: a round is one run of all of them.
repeated() {
  local name=$1 filter=$2 began=$SECONDS status=0
  local times=${rounds:-1}
  crash_tests "$filter" --stress-count "$times" || status=1
  record "$name" "$times" $((SECONDS - began)) $status
  return $status
}

# The processor, without letters that JSON escapes.
machine() {
  local model
  model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
  printf '%s x %s, Linux %s' "$(nproc)" "${model:-processor}" "$(uname -r | cut -d. -f1-2)" | tr -d '"\\'
}

# Upstreams, receivers and push services that hang, and a session bus and a sound server where their programs exist.
torture_services() {
  local status=0
  repeated services 'binary(e2e) & test(/(stalled_callbacks_do_not_block|hanging_downloads_do_not|silent_receiver_delays|stalled_push_delays|webhook_tests_of_a_device_do_not_block|running_import_blocks_no)/)' || status=1
  if have dunst && have Xvfb && have dbus-daemon && have pulseaudio; then
    cargo build "${TEST_BUILD[@]}" --bin wharf --example effects
    tests/effects/run "$BIN" "$TARGET/debug/examples/effects" -k hanging -k silent_bus -k silent_server test_desktop test_sound || status=1
  else
    say "dev: a hanging session bus and sound server are not tested: install dunst, xvfb, dbus-daemon and pulseaudio"
  fi
  return $status
}

# Random requests, for about as many seconds as ROUNDS of them need.
torture_requests() {
  local log=$TORTURE_DIR/requests.log status=0 began=$SECONDS count
  [[ -n $rounds ]] || { say "dev: requests need --rounds"; return 1; }
  install_python venv tests/clients/python/requirements.txt tests/clients/python/fuzz/requirements.txt
  # With the examples, the features of all dependencies are those of the tests.
  cargo build "${TEST_BUILD[@]}" --bins --examples
  WHARF_FUZZ_SECONDS=$((rounds / 100 + 100)) WHARF_BIN=$(realpath "$BIN") \
    "$STATE/venv/bin/python" tests/clients/python/fuzz/run.py >"$log" 2>&1 || { status=1; cat "$log" >&2; }
  count=$(sed -n 's/^requests: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
  record requests "${count:-0}" $((SECONDS - began)) $status
  return $status
}

# record NAME ROUNDS SECONDS STATUS: figures of tests that do not record their own.
record() {
  printf '{"scenario":"%s","at":%s,"seconds":%s,"seed":0,"rounds":%s,"tried":{},"lost":0,"duplicated":0,"panics":0,"serverErrors":0,"failed":%s,"commit":"%s","machine":"%s"}\n' \
    "$1" "$(date +%s)" "$3" "$2" "$([[ $4 -eq 0 ]] && echo false || echo true)" "$(commit)" "$(machine)" | tee -a "$results"
}

commit() { git rev-parse --short HEAD 2>/dev/null || echo unknown; }

run_scenario() {
  local name=$1 engine status=0
  case $name in
    kills) counted kills 'test(=rounds::slow_random_kills_lose_and_duplicate_nothing)' ;;
    kills-sockets) counted kills-sockets 'test(/^socket_rounds::/)' ;;
    kills-operators) counted kills-operators 'test(/^operator_rounds::/)' ;;
    kills-native)
      counted kills-native 'test(=rounds::slow_random_kills_lose_and_duplicate_nothing)' WHARF_TEST_ENGINE=whatsapp ;;
    kills-upstream)
      for engine in cloud-api remote waha waha-websocket; do
        counted kills-upstream 'test(/^upstream_rounds::/)' "WHARF_TEST_ENGINE=$engine" || status=1
      done
      return $status
      ;;
    power) counted power 'test(/^power_cut::/)' ;;
    damage) counted damage 'test(/^damage::/)' && repeated database 'binary(e2e) & test(/^probes::(deleted_database|daemon_stops_when)/)' ;;
    clock) counted clock 'test(/^clock::/)' ;;
    disk) repeated disk 'binary(crash) & test(/^disk_full::/)' ;;
    descriptors) repeated descriptors 'binary(crash) & test(/^descriptors::/)' ;;
    sockets) counted sockets 'test(/^sockets::/)' ;;
    services) torture_services ;;
    requests) torture_requests ;;
    fuzz) counted fuzz 'test(/^fuzz::/)' "WHARF_FUZZ_MS=$((${minutes:-0} > 0 ? minutes * 60000 : 1000))" ;;
  esac
}
