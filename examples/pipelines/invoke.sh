#!/bin/sh
# Runs one task through the Invoke REST API, waits for its end, and passes or fails as it does.
# POSIX sh and curl are all it needs. docs/pipelines.md tells how each pipeline product calls it.
#
# Taken from the environment:
#   INVOKE_URL              where the service is: https://NAME.azurewebsites.net
#   INVOKE_KEY              the function key; empty where the service asks for none
#   INVOKE_TOKEN            the token for a sign-in that stands before the service; empty: none does
#   INVOKE_STEP             the file with the step: JSON where it ends in .json, else YAML
#   INVOKE_NAME             tells apart two tasks that have the same step: of one job, or of jobs
#                           that the product names alike
#   INVOKE_IDEMPOTENCY_KEY  names this attempt of this run; made from what the product tells
#   INVOKE_OUTPUTS          json, dotenv, github, azure-pipelines or gitlab; empty: no outputs
#   INVOKE_OUTPUTS_FILE     the file they are added to; empty: they are printed, which is for
#                           azure-pipelines alone
#   INVOKE_TIMEOUT          seconds until it stops waiting (3600)
#   INVOKE_PATIENCE         seconds in a row without a usable answer that it bears (300)
#
# Exit codes:
#   0  the task succeeded, or was skipped
#   1  the task failed
#   2  the call was refused, or this script was not set up
#   3  there was no outcome in time
#
# A re-run of a pipeline has another key, so the task runs again. A call repeated because of the
# network has the same key, so it does not.

# Tracing would print the function key and the token.
{ set +x; } 2>/dev/null
set -eu

FAILED=1 REFUSED=2 NO_OUTCOME=3

# A reply is held for so many seconds; the log is shown as often.
HOLD=20
# No reply of the service comes later than 200 seconds.
REPLY_LIMIT=210
LONGEST_PAUSE=30

say() {
  printf 'invoke: %s\n' "$*"
}

# Ends with an exit code and the reason.
end_with() {
  end_code=$1
  shift
  say "$*" >&2
  exit "$end_code"
}

now() {
  date +%s
}

# Makes text of others safe to print: no control characters, nothing that a pipeline takes for a
# command, and no line that begins with anything but a bar.
quoted() {
  LC_ALL=C tr '\r' '\n' | LC_ALL=C tr -d '\000-\011\013-\037\177' |
    LC_ALL=C sed -e "s/$C1_CONTROL/ /g" -e "s/$LINE_SEPARATOR/ /g" -e 's/##/# #/g' -e 's/^/  | /'
}
C1_CONTROL=$(printf '\302[\200-\237]')
LINE_SEPARATOR=$(printf '\342\200[\250\251]')

whole_number() {
  case $2 in
    '' | *[!0-9]*) end_with $REFUSED "$1 takes a whole number of seconds." ;;
  esac
}

read_settings() {
  url=${INVOKE_URL:-}
  key=${INVOKE_KEY:-}
  step=${INVOKE_STEP:-}
  token=${INVOKE_TOKEN:-}
  # No program started from here needs the key or the token in its environment.
  unset INVOKE_KEY INVOKE_TOKEN
  time_limit=${INVOKE_TIMEOUT:-3600}
  patience=${INVOKE_PATIENCE:-300}
  outputs=${INVOKE_OUTPUTS:-}
  outputs_file=${INVOKE_OUTPUTS_FILE:-}

  [ -n "$url" ] || end_with $REFUSED 'INVOKE_URL is not set: it is the address of the service.'
  url=${url%/}
  case $url in
    https://* | http://127.0.0.1 | http://127.0.0.1:* | http://localhost | http://localhost:*) ;;
    *) end_with $REFUSED 'INVOKE_URL has to begin with https://, or the key could be read on its way.' ;;
  esac
  [ -n "$step" ] || end_with $REFUSED 'INVOKE_STEP is not set: it is the file with the step.'
  [ -f "$step" ] && [ -r "$step" ] || end_with $REFUSED "There is no file $step to read (INVOKE_STEP)."
  case $step in
    *.json) step_type=application/json ;;
    *) step_type=application/yaml ;;
  esac
  case $key in
    "\$("*) end_with $REFUSED 'INVOKE_KEY is the name of a variable that the pipeline did not find.' ;;
    *[![:print:]]*) end_with $REFUSED 'INVOKE_KEY has a character in it that no key has.' ;;
  esac
  case $token in
    "\$("*) end_with $REFUSED 'INVOKE_TOKEN is the name of a variable that the pipeline did not find.' ;;
    *[![:graph:]]*) end_with $REFUSED 'INVOKE_TOKEN has a character in it that no token has.' ;;
  esac
  whole_number INVOKE_TIMEOUT "$time_limit"
  whole_number INVOKE_PATIENCE "$patience"
  case $outputs in
    '' | json | dotenv | github | azure-pipelines | gitlab) ;;
    *) end_with $REFUSED 'INVOKE_OUTPUTS takes json, dotenv, github, azure-pipelines or gitlab.' ;;
  esac
  # Printed, a target's text in them could act as a command of the pipeline.
  case $outputs in
    '' | azure-pipelines) ;;
    *)
      [ -n "$outputs_file" ] || end_with $REFUSED "INVOKE_OUTPUTS_FILE is not set: outputs as $outputs go into a file, since a line of theirs in the log could act as a command."
      ;;
  esac
  read_attempt
}

# Names this attempt of this run, as each product tells it, and this task within it.
read_attempt() {
  attempt=${INVOKE_IDEMPOTENCY_KEY:-}
  if [ -n "$attempt" ]; then
    case $attempt in
      *[![:print:]]*) end_with $REFUSED 'INVOKE_IDEMPOTENCY_KEY takes printable characters.' ;;
    esac
    return
  fi
  if [ -n "${GITHUB_RUN_ID:-}" ]; then
    # Jobs that call one reusable workflow are alike in all of this; the action's INVOKE_NAME tells
    # them apart.
    attempt="github/${GITHUB_REPOSITORY:-}/$GITHUB_RUN_ID/${GITHUB_RUN_ATTEMPT:-1}/${GITHUB_JOB:-}"
  elif [ -n "${BUILD_BUILDID:-}" ]; then
    attempt="azure/${SYSTEM_COLLECTIONID:-}/${SYSTEM_TEAMPROJECTID:-}/$BUILD_BUILDID"
    attempt="$attempt/${SYSTEM_JOBID:-}/${SYSTEM_STAGEATTEMPT:-1}.${SYSTEM_JOBATTEMPT:-1}"
    attempt="$attempt/${SYSTEM_TASKINSTANCEID:-}"
  elif [ -n "${CI_JOB_ID:-}" ]; then
    # A job that is retried gets another id.
    attempt="gitlab/${CI_SERVER_HOST:-}/${CI_PROJECT_ID:-}/${CI_PIPELINE_ID:-}/$CI_JOB_ID"
  elif [ -n "${BUILD_TAG:-}" ]; then
    # A build that is run again, or restarted from a stage, gets another number. Cells of a matrix
    # and parallel branches are alike in all of this; INVOKE_NAME tells them apart.
    attempt="${JENKINS_URL:-}/$BUILD_TAG/${STAGE_NAME:-}"
  else
    end_with $REFUSED 'INVOKE_IDEMPOTENCY_KEY is not set: it names this attempt of this run, so that a call that is repeated does not run the task again.'
  fi
  attempt="$attempt/${INVOKE_NAME:-}/$(cksum <"$step")"
  # Names of jobs may be long, and in any script.
  attempt=$(printf '%s' "$attempt" | LC_ALL=C tr -c 'A-Za-z0-9._/-' '_' | tail -c 200)-$(
    printf '%s' "$attempt" | cksum | tr ' ' '-'
  )
}

# Sets how many seconds a reply may be held, and how many a call may take.
measure() {
  left=$((deadline - $(now)))
  [ "$left" -ge 1 ] || left=1
  hold=$left
  [ "$hold" -le $HOLD ] || hold=$HOLD
  # A reply that is held to the very end still has to arrive.
  left=$((left + 5))
  [ "$left" -le $REPLY_LIMIT ] || left=$REPLY_LIMIT
}

# Prints the line of curl's configuration for a header.
secret_header() {
  printf 'header = "%s: %s"\n' "$1" "$(printf '%s' "$2" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g')"
}

# Calls the service: sets status (000 without an answer), and writes $work/head and $work/body.
# Key and token go to curl through a pipe: they stand in no list of processes and in no file.
# Nothing that ~/.curlrc says, such as to follow redirects, can lead them elsewhere.
call() {
  measure
  : >"$work/head"
  : >"$work/body"
  status=$(
    {
      [ -z "$key" ] || secret_header x-functions-key "$key"
      [ -z "$token" ] || secret_header Authorization "Bearer $token"
    } | curl -q --config - --silent --show-error --connect-timeout 20 --max-time "$left" \
      --output "$work/body" --dump-header "$work/head" --write-out '%{http_code}' "$@" 2>"$work/error"
  ) && curl_code=0 || curl_code=$?
  # A body that broke off is no answer.
  [ $curl_code -eq 0 ] || status=000
}

# Prints a header of the answer.
header() {
  LC_ALL=C tr -d '\r' <"$work/head" | LC_ALL=C awk -v wanted="$1" '
    { at = index($0, ":") }
    at && tolower(substr($0, 1, at - 1)) == wanted { value = substr($0, at + 1) }
    END { sub(/^[ \t]+/, "", value); print value }'
}

# Prints the id of the invocation the answer shows. It stands first, where nothing that a target
# answered can stand, and what follows it is never taken for an address.
invocation_in_answer() {
  LC_ALL=C sed -n '1s/^{"id":"\([0-9a-f]\{8\}-[0-9a-f-]\{27\}\)",.*/\1/p' "$work/body"
}

# Rests for as long as an answer asks, and no longer than there is time and, where a second number
# is given, than that many seconds.
pause() {
  seconds=$1
  case $seconds in
    '' | *[!0-9]* | ????*) seconds=2 ;;
  esac
  [ "$seconds" -ge 1 ] || seconds=1
  [ "$seconds" -le $LONGEST_PAUSE ] || seconds=$LONGEST_PAUSE
  left=$((deadline - $(now)))
  [ "$seconds" -le "$left" ] || seconds=$left
  [ "$seconds" -le "${2:-$seconds}" ] || seconds=$2
  [ "$seconds" -lt 1 ] || sleep "$seconds"
}

# Shows the lines that the log has got since it was last shown. The service sees to it that no
# line of it can act as a command of a pipeline.
show_log() {
  while :; do
    call --get --data-urlencode "after=$cursor" "$url/api/invocations/$id/log"
    [ "$status" = 200 ] || return 1
    [ -s "$work/body" ] || return 0
    cat "$work/body"
    further=$(header x-log-cursor)
    [ -n "$further" ] && [ "$further" != "$cursor" ] || return 0
    cursor=$further
  done
}

# Keeps the answer that counts: showing the log makes calls of its own.
show_end() {
  status_of_end=$status
  mv "$work/body" "$work/outcome"
  # The outcome is known; its log may take as long as a short call.
  deadline=$(($(now) + 60))
  show_log || say 'The log could not be read.' >&2
}

# Prints the code of the reason: letters of a closed list, which nobody else writes.
reason_code() {
  LC_ALL=C sed -e 's/"reason":{"code":"/\
/' "$work/outcome" | LC_ALL=C sed -n -e '2s/^\([A-Za-z]*\)".*/\1/p'
}

# Prints what went wrong on the way.
trouble_text() {
  if [ "$status" = 000 ]; then
    quoted <"$work/error"
  else
    printf '  | status %s\n' "$status"
    dd bs=2000 count=1 <"$work/body" 2>/dev/null | quoted
  fi
  echo
}

refuse() {
  case $status in
    401) say "$(unauthorized_text)" >&2 ;;
    404) say "The service answered 404: there is no such route or task at $url." >&2 ;;
    *) say "The service answered $status, and the task has no outcome:" >&2 ;;
  esac
  trouble_text >&2
  [ -z "$id" ] || say "The task: $url/api/invocations/$id" >&2
  exit $REFUSED
}

# Prints what a 401 means: a sign-in before the service names another scheme than the service does.
unauthorized_text() {
  case $(header www-authenticate | tr '[:upper:]' '[:lower:]') in
    bearer*)
      if [ -n "$token" ]; then
        echo 'The sign-in before the service answered 401: the token (INVOKE_TOKEN) is wrong, has expired, or is for another audience.'
      else
        echo 'The sign-in before the service answered 401: it asks for a token (INVOKE_TOKEN).'
      fi
      ;;
    *) echo 'The service answered 401: the function key (INVOKE_KEY) is missing or wrong.' ;;
  esac
}

# Repeats the same call later, as long as patience lasts.
bear_trouble() {
  [ -n "$trouble_since" ] || trouble_since=$(now)
  troubled=$(($(now) - trouble_since))
  if [ "$troubled" -ge "$patience" ] || [ "$(now)" -ge "$deadline" ]; then
    say "There is no outcome: no usable answer came from $url for $troubled s. The last one:" >&2
    trouble_text >&2
    [ -z "$id" ] || say "The task: $url/api/invocations/$id" >&2
    exit $NO_OUTCOME
  fi
  say "No usable answer (status $status, curl $curl_code); trying again." >&2
  pause "$(header retry-after)" $((patience - troubled))
}

ask() {
  measure
  if [ -z "$id" ]; then
    call --data-binary "@$step" --header "Content-Type: $step_type" \
      --header "Idempotency-Key: $attempt" --header "Prefer: wait=$hold" "$url/api/invocations?strict=true"
  else
    call --header "Prefer: wait=$hold" "$url/api/invocations/$id?strict=true"
  fi
}

wait_for_end() {
  id='' cursor='' trouble_since='' found=''
  while :; do
    ask
    case $status in
      200 | 202 | 408 | 424) found=$(invocation_in_answer) ;;
      *) found='' ;;
    esac
    case $status in
      200 | 424)
        if [ -z "$found" ] || [ "${id:-$found}" != "$found" ]; then
          say "The service answered $status without an invocation: is it one?" >&2
          trouble_text >&2
          exit $REFUSED
        fi
        [ -n "$id$trouble_since" ] || [ "$(header idempotency-replayed)" != true ] ||
          say 'This attempt has run its task before; this is what came of it.'
        id=$found
        return
        ;;
      000)
        case $curl_code in
          # A wrong address, and a certificate that is not trusted, stay what they are.
          1 | 3 | 51 | 58 | 60 | 77 | 83 | 90)
            say "The service at $url cannot be called:" >&2
            trouble_text >&2
            exit $REFUSED
            ;;
        esac
        ;;
      202 | 408 | 429 | 500 | 502 | 503 | 504) ;;
      *) refuse ;;
    esac
    if [ -z "$found" ]; then
      bear_trouble
      continue
    fi
    trouble_since=''
    id=$found
    # A reply that was held has waited already.
    if [ -n "$(header preference-applied)" ]; then rest=1; else rest=$(header retry-after); fi
    show_log || :
    if [ "$(now)" -ge "$deadline" ]; then
      end_with $NO_OUTCOME "The task has not ended after $time_limit s. It goes on: $url/api/invocations/$id"
    fi
    pause "$rest"
  done
}

export_outputs() {
  [ -n "$outputs" ] || return 0
  deadline=$(($(now) + 60))
  trouble_since=''
  while :; do
    call "$url/api/invocations/$id/outputs?format=$outputs"
    case $status in
      200) break ;;
      000 | 408 | 429 | 500 | 502 | 503 | 504) bear_trouble ;;
      *)
        say 'The task succeeded, but its outputs cannot be handed on:' >&2
        trouble_text >&2
        exit $REFUSED
        ;;
    esac
  done
  # What comes after them begins a line of its own.
  [ -z "$(tail -c 1 "$work/body")" ] || echo >>"$work/body"
  if [ -n "$outputs_file" ]; then cat "$work/body" >>"$outputs_file"; else cat "$work/body"; fi
}

read_settings
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
deadline=$(($(now) + time_limit))
wait_for_end
show_end
if [ "$status_of_end" = 424 ]; then
  end_with $FAILED "The task failed ($(reason_code)): $url/api/invocations/$id"
fi
export_outputs
say "The task ended well: $url/api/invocations/$id"
