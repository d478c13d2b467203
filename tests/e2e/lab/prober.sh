#!/bin/sh
# prober.sh NAME URL [kept]: asks ten times a second, with a new connection each or over one that is kept, until
# /tmp/probe-stop is there. A request that failed is made again at once; one that failed again has failed. Counts are in
# /tmp/probe-NAME, failures with their moment in /tmp/probe-NAME.log.
name=$1 url=$2
asked=0 again=0 failed=0
: > "/tmp/probe-$name.log"
count() { echo "asked $asked retried $again failed $failed" > "/tmp/probe-$name.new" && mv "/tmp/probe-$name.new" "/tmp/probe-$name"; }
note() { echo "$(date +%T.%3N) $*" >> "/tmp/probe-$name.log"; }
ask() { curl -q -sSk --noproxy '*' --max-time 3 -o /dev/null -w '%{http_code} %{time_total}' "$url" 2>&1; }

# Of requests over a kept connection the next one is the retry of one that failed.
if [ "${3-}" = kept ]; then
  before=well
  while [ ! -e /tmp/probe-stop ]; do
    stdbuf -oL curl -q -sk --http1.1 --noproxy '*' --max-time 3 --rate 10/s -o /dev/null -w '%{http_code} %{num_connects}\n' "$url?probe=[1-50]"
  done | while read -r said; do
    asked=$((asked + 1))
    case $said in
      200*) before=well ;;
      *)
        if [ $before = well ]; then again=$((again + 1)) before=ill; note "retried: $said"; else failed=$((failed + 1)); note "failed: $said"; fi
        ;;
    esac
    count
  done
  exit
fi

while [ ! -e /tmp/probe-stop ]; do
  begun=$(date +%s%3N)
  asked=$((asked + 1))
  said=$(ask)
  case $said in
    200*) ;;
    *)
      again=$((again + 1))
      note "retried: $said"
      said=$(ask)
      case $said in
        200*) ;;
        *)
          failed=$((failed + 1))
          note "failed: $said"
          ;;
      esac
      ;;
  esac
  count
  left=$((begun + 100 - $(date +%s%3N)))
  if [ "$left" -gt 0 ]; then sleep "0.$(printf %03d "$left")"; fi
done
