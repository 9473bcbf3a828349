# The stages of `./dev test --slow`, and how they run. `dev` reads this file.
#
# A stage writes its output to target/ci/NAME.log. When it ends, its result is printed; the whole log only if it failed.
# A failed stage does not stop the others, except for the build.

readonly CI_DIR=${CARGO_TARGET_DIR:-target}/ci
# More flaky tests than this in one stage fail the run: the engines' stages repeat the same tests. A test is flaky if it
# passed at its second or third attempt.
readonly MAX_FLAKY=3
# Seconds for the installation of tools, which runs beside the build.
readonly TOOLS_LIMIT=1200
# Their engines share the relay toolkit. One engine of each pair is tested with each commit, in turn.
readonly UPSTREAM_PAIRS=("cloud-api remote" "waha waha-websocket")
readonly STAGES=(words format build fast native upstream clippy check dependencies packaging slow kills upstream-kills
  torture javascript python effects generated dashboard random bucket instructions measured)

# --- Which stages ----------------------------------------------------------------------------------------------

all_engines=${WHARF_ALL_ENGINES:-}
only=

read_options() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      --all) all_engines=1; shift ;;
      --only) only=,${2:?--only needs stages such as fast,javascript}, ; shift 2 ;;
      --only=*) only=,${1#*=},; shift ;;
      *) die "unknown option $1; see ./dev help" ;;
    esac
  done
  local name
  for name in ${only//,/ }; do
    [[ " ${STAGES[*]} " == *" $name "* ]] || die "no stage $name; there are: ${STAGES[*]}"
  done
}

is_selected() { [[ -z $only || $only == *,$1,* ]]; }

# The upstream engines of this run.
upstream_engines() {
  local turn pair
  turn=$(git rev-list --count HEAD 2>/dev/null || echo 0)
  for pair in "${UPSTREAM_PAIRS[@]}"; do
    local engines=($pair)
    if [[ -n $all_engines ]]; then
      printf '%s\n' "${engines[@]}"
    else
      printf '%s\n' "${engines[turn % 2]}"
    fi
  done
}

# --- Running a stage -------------------------------------------------------------------------------------------

# stage NAME COMMAND…: runs a selected stage and records its result. Always returns 0.
stage() {
  local name=$1 status=0 began=$SECONDS
  shift
  is_selected "$name" || return 0
  printf '%s\n' "$name" >>"$CI_DIR/order"
  start_group "$name" run_stage "$name" "$@"
  local group=$!
  limit_group "$name" "$group" "$(stage_limit "$name")"
  wait "$group" || status=$?
  lift_limit "$name"
  rm "$CI_DIR/$name.pid"
  record_result "$name" "$status" $((SECONDS - began))
  print_result "$name"
}

# Seconds that a stage may take, about three times as long as it takes: one that hangs fails by itself, with its log,
# before the run as a whole is ended from outside without one.
stage_limit() {
  case $1 in
    build | fast | clippy | check) echo 2400 ;;
    slow) echo 2700 ;;
    instructions) echo 1800 ;;
    words | format | dependencies) echo 300 ;;
    torture) echo 900 ;;
    *) echo 1200 ;;
  esac
}

# limit_group NAME GROUP SECONDS: ends the process group when the time is over. lift_limit NAME takes that back.
limit_group() {
  local name=$1 group=$2 seconds=$3
  set -m
  (
    set +m
    sleep "$seconds"
    printf '\n%s: ended after its limit of %s\n' "$name" "$(duration "$seconds")" >>"$CI_DIR/$name.log"
    kill -TERM -- "-$group" 2>/dev/null || exit 0
    sleep 10
    kill -KILL -- "-$group" 2>/dev/null || true
  ) >/dev/null 2>&1 &
  set +m
  printf '%s' $! >"$CI_DIR/$name.limit"
}

lift_limit() {
  kill -TERM -- "-$(<"$CI_DIR/$1.limit")" 2>/dev/null || true
  rm "$CI_DIR/$1.limit"
}

run_stage() {
  STAGE=$1
  shift
  "$@"
}

# start_group NAME COMMAND…: in the background and in a process group of its own, so that it can be ended with all it
# started. `set -e` holds in it, because nothing examines its status yet.
start_group() {
  local name=$1
  shift
  set -m
  (
    set +m -e
    "$@"
  ) >"$CI_DIR/$name.log" 2>&1 &
  set +m
  printf '%s' $! >"$CI_DIR/$name.pid"
}

end_groups() {
  local file
  # The lanes first, or they would start their next stages.
  for file in "$CI_DIR"/*.lane "$CI_DIR"/*.limit "$CI_DIR"/*.pid; do
    [[ ! -e $file ]] || kill -TERM -- "-$(<"$file")" 2>/dev/null || true
  done
  exit 130
}

# Writes "status seconds passed failed skipped flaky" to NAME.result, and the names of flaky and skipped tests.
record_result() {
  local name=$1 status=$2 seconds=$3 passed failed skipped flaky
  read -r passed failed skipped flaky < <(
    { count_reports "$name"; count_log "$CI_DIR/$name.log"; } |
      awk '{ for (i = 1; i <= 4; i++) sum[i] += $i } END { print sum[1] + 0, sum[2] + 0, sum[3] + 0, sum[4] + 0 }'
  )
  [[ $status -eq 0 || $failed -gt 0 ]] || failed=1
  printf '%s\n' "$status $seconds $passed $failed $skipped $flaky" >"$CI_DIR/$name.result"
}

# "passed failed skipped flaky" of the JUnit reports of nextest. A test that prints a line `skipped: …` is skipped.
count_reports() {
  local reports=("$CI_DIR/$1".*.xml)
  [[ -e ${reports[0]} ]] || return 0
  awk -v flaky_list="$CI_DIR/$1.flaky" -v skipped_list="$CI_DIR/$1.skipped" '
    function finish() {
      if (name == "") return
      if (is_failed) failed++
      else if (reason != "") { skipped++; print reason >skipped_list }
      else passed++
      if (is_flaky && !is_failed) { flaky++; print name >flaky_list }
      name = ""
    }
    /<testcase / {
      finish()
      match($0, / name="[^"]*"/); name = substr($0, RSTART + 7, RLENGTH - 8)
      is_failed = is_flaky = 0; reason = ""
    }
    /<flakyFailure/ { is_flaky = 1 }
    /<(failure|error)[ >]/ { is_failed = 1 }
    match($0, /(^|>)skipped: /) {
      reason = substr($0, RSTART + RLENGTH); sub(/<.*/, "", reason)
      gsub(/&quot;/, "\"", reason); gsub(/&lt;/, "<", reason); gsub(/&gt;/, ">", reason); gsub(/&amp;/, "\\&", reason)
    }
    /<\/testsuite>/ { finish() }
    END { finish(); print passed + 0, failed + 0, skipped + 0, flaky + 0 }
  ' "${reports[@]}"
}

# The same of the other test runners: `node --test`, the unittest of Python, and that of Rust.
count_log() {
  awk '
    /^(#|ℹ) pass [0-9]+/ { passed += $3 }
    /^(#|ℹ) (fail|cancelled) [0-9]+/ { failed += $3 }
    /^(#|ℹ) (skipped|todo) [0-9]+/ { skipped += $3 }
    /^Ran [0-9]+ tests? in / { ran = $2 }
    ran != "" && /^(OK|FAILED)( \(.*\))?$/ {
      bad = missed = 0
      while (match($0, /[a-z ]+=[0-9]+/)) {
        split(substr($0, RSTART, RLENGTH), part, "=")
        if (part[1] ~ /failures|errors/) bad += part[2]
        if (part[1] ~ /skipped/) missed += part[2]
        $0 = substr($0, RSTART + RLENGTH)
      }
      passed += ran - bad - missed; failed += bad; skipped += missed; ran = ""
    }
    /^test result: / { passed += $4; failed += $6; skipped += $8 }
    END { print passed + 0, failed + 0, skipped + 0, 0 }
  ' "$1"
}

print_result() {
  local name=$1 status seconds passed failed skipped flaky
  read -r status seconds passed failed skipped flaky <"$CI_DIR/$name.result"
  {
    if [[ $status -ne 0 ]]; then
      printf '\n===== %s failed (exit code %s) =====\n' "$name" "$status"
      cat "$CI_DIR/$name.log"
      printf '===== end of %s =====\n' "$name"
    fi
    printf '%s: %s in %s' "$name" "$([[ $status -eq 0 ]] && echo ok || echo FAILED)" "$(duration "$seconds")"
    [[ $((passed + failed + skipped)) -eq 0 ]] || printf ', %s passed, %s failed, %s skipped' "$passed" "$failed" "$skipped"
    [[ $flaky -eq 0 ]] || printf ', %s flaky' "$flaky"
    printf '\n'
  } >&2
}

duration() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# The table of all stages, skipped and flaky tests, and the sum. Fails if a stage failed or too many tests were flaky.
print_summary() {
  local name status seconds passed failed skipped flaky bad=0 all_passed=0 all_failed=0 all_skipped=0 all_flaky=0 too_flaky=
  printf '\n%-16s %8s %8s %8s %8s %8s\n' stage time passed failed skipped flaky
  while read -r name; do
    read -r status seconds passed failed skipped flaky <"$CI_DIR/$name.result"
    printf '%-16s %8s %8s %8s %8s %8s%s\n' "$name" "$(duration "$seconds")" "$passed" "$failed" "$skipped" "$flaky" \
      "$([[ $status -eq 0 ]] || echo '  FAILED')"
    [[ $status -eq 0 ]] || bad=1
    if [[ $flaky -gt $MAX_FLAKY ]]; then
      too_flaky+=" $name"
      bad=1
    fi
    all_passed=$((all_passed + passed)) all_failed=$((all_failed + failed))
    all_skipped=$((all_skipped + skipped)) all_flaky=$((all_flaky + flaky))
  done <"$CI_DIR/order"
  if compgen -G "$CI_DIR/*.skipped" >/dev/null; then
    printf '\nSkipped tests, by stage and reason:\n'
    for name in "$CI_DIR"/*.skipped; do
      sort "$name" | uniq -c | sed "s/^/  $(basename "$name" .skipped): /"
    done
  fi
  if [[ $all_flaky -gt 0 ]]; then
    printf '\nFlaky tests, which passed at a later attempt:\n'
    for name in "$CI_DIR"/*.flaky; do
      [[ ! -e $name ]] || sed "s/^/  $(basename "$name" .flaky): /" "$name"
    done
  fi
  if [[ -n $too_flaky ]]; then
    printf '\nMore than %s flaky tests in:%s. This run fails.\n' "$MAX_FLAKY" "$too_flaky"
  fi
  printf '\nAll stages: %s\n%s passed, %s failed, %s skipped, %s flaky\n' "$(duration $SECONDS)" \
    "$all_passed" "$all_failed" "$all_skipped" "$all_flaky"
  return $bad
}

# --- Test runners ----------------------------------------------------------------------------------------------

# nextest PROFILE ARGS…: keeps the report of each run, because the next run of the profile overwrites it.
nextest() {
  local profile=$1 status=0 report=${CARGO_TARGET_DIR:-target}/nextest/$1/junit.xml
  shift
  rm -f "$report"
  cargo nextest run "${TEST_BUILD[@]}" --profile "$profile" --status-level fail --final-status-level flaky \
    --show-progress none "$@" || status=$?
  [[ ! -e $report ]] || cp "$report" "$CI_DIR/$STAGE.$(date +%s%N).xml"
  return $status
}

# install_python VENV REQUIREMENTS…: a virtual environment below .dev.
install_python() {
  local venv=$STATE/$1
  shift
  need_python
  [[ -x $venv/bin/python ]] || python3 -m venv "$venv"
  bounded 300 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${@/#/--requirement=}"
}

install_node() {
  need_node
  (cd "$1" && bounded 300 npm ci --no-audit --no-fund --silent)
}

# --- The stages ------------------------------------------------------------------------------------------------

# Downloads and installs what the selected stages need, while the compiler runs.
install_tools() {
  local packages=()
  if is_selected slow; then
    have zbarimg && have rsvg-convert || packages+=(zbar-tools librsvg2-bin)
  fi
  if is_selected effects; then
    have dunst && have Xvfb && have dbus-monitor && have dbus-daemon && have import && have xdotool && have fc-list ||
      packages+=(dunst xvfb dbus-x11 dbus-daemon imagemagick xdotool fontconfig fonts-dejavu-core)
    have pulseaudio && have pactl && have parec && have sox ||
      packages+=(pulseaudio pulseaudio-utils libasound2-plugins sox libsox-fmt-all)
  fi
  if is_selected instructions; then have valgrind || packages+=(valgrind); fi
  if is_selected packaging; then
    have systemd-analyze || packages+=(systemd)
    have lintian && have strip || packages+=(lintian binutils)
    have amtool && have prometheus-alertmanager || packages+=(prometheus-alertmanager)
    have promtool && have prometheus || packages+=(prometheus)
    have nginx || [[ -x /usr/sbin/nginx ]] || packages+=(nginx)
    have caddy || packages+=(caddy)
    have docker-compose || packages+=(docker-compose)
    have curl && have jq && have openssl || packages+=(curl jq openssl)
  fi
  have_python || packages+=(python3 python3-venv)
  [[ ${#packages[@]} -eq 0 ]] || install_debian "${packages[@]}"
  if is_selected packaging; then
    need_node
    install_python venv-packaging tests/packaging/requirements.txt
  fi
  if is_selected javascript || is_selected dashboard; then
    have chromium || install_debian chromium fonts-noto-color-emoji fonts-dejavu-core
  fi
  if is_selected javascript; then install_node tests/clients/js; fi
  if is_selected generated; then
    install_node tests/clients/generated/typescript
    install_python venv-generated tests/clients/generated/python/requirements.txt
  fi
  if is_selected dashboard; then
    install_dashboard
    PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 install_node tests/dashboard
  fi
  if is_selected python; then install_python venv tests/clients/python/requirements.txt; fi
  if is_selected random; then
    install_python venv tests/clients/python/requirements.txt tests/clients/python/fuzz/requirements.txt
  fi
  if is_selected bucket; then install_python venv-s3 tests/clients/python/s3/requirements.txt; fi
}

install_all_tools() {
  trap 'touch "$CI_DIR/tools.ended"' EXIT
  install_tools
  touch "$CI_DIR/tools.ready"
}

build_tests() { cargo nextest run "${TEST_BUILD[@]}" --no-run; }

# The features of a release, and a build without the native engine: the tests compile neither.
check_features() {
  cargo check --locked
  cargo check --locked --no-default-features
}

# Slow tests that measure time or memory: they run alone.
measured_tests() { nextest measured; }

# rounds FEWER MORE: how often the daemon is killed; MORE with --all.
rounds() { printf '%s' "${WHARF_CRASH_ROUNDS:-$([[ -n $all_engines ]] && echo "$2" || echo "$1")}"; }

# The other slow tests; those of an upstream are a stage of their own.
slow_tests() {
  WHARF_CRASH_ROUNDS=$(rounds 100 250) nextest slow -E 'not test(/^upstream_rounds::/)'
}

# Kills of a daemon whose devices are linked to a testbed, and a minute of mixed traffic with restarts.
kills() {
  WHARF_TEST_ENGINE=whatsapp WHARF_CRASH_ROUNDS=$(rounds 60 200) \
    nextest slow -E 'binary(crash) & test(/^(kill_points|rounds|mixed_load)::/)'
}

# Kills of a daemon that relays to an upstream.
upstream_kills() {
  local engine
  for engine in $(upstream_engines); do
    echo "engine $engine"
    WHARF_TEST_ENGINE=$engine WHARF_CRASH_ROUNDS=$(rounds 30 60) nextest slow -E 'binary(crash) & test(/^upstream_rounds::/)'
  done
}

# Fault scenarios that no other stage has, in their short form.
torture_short() {
  . .ci/torture.sh
  torture kills-sockets kills-operators power damage clock sockets fuzz
}

# The tests that every engine must pass, on the native engine with a testbed.
native_tests() { WHARF_TEST_ENGINE=whatsapp nextest whatsapp; }

# The same on engines that relay to an upstream.
upstream_tests() {
  local engine
  for engine in $(upstream_engines); do
    echo "engine $engine"
    WHARF_TEST_ENGINE=$engine nextest upstream
  done
}

# Quick checks of packages, monitoring and examples, with the daemon and without Docker or systemd.
check_packaging() {
  tests/packaging/systemd
  WHARF_BIN=$1 tests/packaging/debian
  tests/packaging/monitoring
  WHARF_BIN=$1 "$STATE/venv-packaging/bin/python" tests/packaging/release
  WHARF_BIN=$1 "$STATE/venv-packaging/bin/python" tests/packaging/image
  WHARF_BIN=$1 "$STATE/venv-packaging/bin/python" tests/packaging/scrape
  WHARF_BIN=$1 "$STATE/venv-packaging/bin/python" tests/packaging/examples
}

# Notifications on a virtual display, and sounds through a sound server without a loudspeaker. Screenshots and
# recordings are kept in target/effects/.
effects_tests() { tests/effects/run "$1" "$(dirname "$1")/examples/effects"; }

# The client library socket.io-client against the daemon.
javascript_tests() { (cd tests/clients/js && WHARF_BIN=$1 npm test); }

# The client library python-socketio against the daemon.
python_tests() { WHARF_BIN=$1 "$STATE/venv/bin/python" -m unittest discover -v -s tests/clients/python; }

# Clients that generators make of docs/openapi.json: compiled, and used on the daemon.
generated_clients() {
  (cd tests/clients/generated/typescript && WHARF_BIN=$1 npm test)
  WHARF_BIN=$1 "$STATE/venv-generated/bin/python" -m unittest discover -v -s tests/clients/generated/python
}

# The web page: its build equals what is committed, its sizes, its units, and its pages in Chromium against the daemon.
dashboard_tests() {
  local committed=$CI_DIR/dashboard-dist
  rm -rf "$committed"
  cp -a "$DASHBOARD/dist" "$committed"
  dashboard
  diff -r "$committed" "$DASHBOARD/dist" || { echo "dist/ is not what the sources build: run ./dev dashboard"; return 1; }
  (cd "$DASHBOARD" && npm test --silent)
  (cd tests/dashboard && WHARF_DASHBOARD_OUT=$(realpath "$CI_DIR")/dashboard WHARF_BIN=$1 CI=1 npm test --silent)
}

# Ten thousand random requests that the OpenAPI document allows or forbids.
random_requests() { WHARF_FUZZ_SECONDS=360 WHARF_BIN=$1 "$STATE/venv/bin/python" tests/clients/python/fuzz/run.py; }

# Media in a bucket of a local S3 server.
bucket_tests() {
  MOTO_SERVER=$(realpath "$STATE/venv-s3/bin/moto_server") nextest bucket
}

# --- The order -------------------------------------------------------------------------------------------------

# Lanes run side by side, because a test machine has two processors and most tests wait. The compiler runs beside the
# kills, which have no short time limits. Sounds are recorded in real
# time, so they and the measurements run alone at the end.
slow_run() {
  read_options "$@"
  need_rust
  need_nextest
  need_cargo_deny
  rm -rf "$CI_DIR"
  mkdir -p "$CI_DIR"
  : >"$CI_DIR/order"
  trap end_groups INT TERM HUP
  local client_bin
  start_group tools install_all_tools
  limit_group tools $! "$TOOLS_LIMIT"

  stage words check_words
  stage format check_format
  stage build build_tests
  if is_failed build; then
    lift_limit tools
    print_summary
    return 1
  fi
  client_bin=$(realpath "$BIN")

  in_parallel lane_suites lane_clients
  in_parallel lane_kills lane_random lane_lints
  stage effects effects_tests "$client_bin"
  stage measured measured_tests
  lift_limit tools
  print_summary
}

# Waits for install_tools, which has a time limit. A failure shows in the stages that need a missing tool, and its log
# is printed here.
wait_for_tools() {
  until [[ -e $CI_DIR/tools.ended ]] || ! kill -0 -- "-$(<"$CI_DIR/tools.pid")" 2>/dev/null; do sleep 1; done
  [[ -e $CI_DIR/tools.ready ]] || cat "$CI_DIR/tools.log" >&2
}

is_failed() {
  local status _
  [[ -e $CI_DIR/$1.result ]] || return 1
  read -r status _ <"$CI_DIR/$1.result"
  [[ $status -ne 0 ]]
}

in_parallel() {
  local lane lanes=()
  for lane in "$@"; do
    set -m
    (
      set +m
      "$lane"
    ) &
    set +m
    printf '%s' $! >"$CI_DIR/$lane.lane"
    lanes+=($!)
  done
  for lane in "${lanes[@]}"; do wait "$lane"; done
  rm "$CI_DIR"/*.lane
}

lane_suites() {
  stage fast nextest default
  stage native native_tests
  stage upstream upstream_tests
}

# The compiler runs with low priority, because tests beside it have time limits.
lane_lints() {
  (
    renice -n 19 $BASHPID >/dev/null
    stage clippy check_clippy
    stage check check_features
    stage dependencies check_dependencies
    wait_for_tools
    stage packaging check_packaging "$client_bin"
  )
}

lane_clients() {
  wait_for_tools
  stage javascript javascript_tests "$client_bin"
  stage python python_tests "$client_bin"
  stage generated generated_clients "$client_bin"
}

lane_kills() {
  wait_for_tools
  stage slow slow_tests
  stage kills kills
  stage upstream-kills upstream_kills
  stage torture torture_short
}

lane_random() {
  wait_for_tools
  stage dashboard dashboard_tests "$client_bin"
  stage random random_requests "$client_bin"
  stage bucket bucket_tests
  stage instructions count_instructions
}
