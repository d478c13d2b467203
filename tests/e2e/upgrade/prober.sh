#!/bin/sh
# prober.sh NAME URL: asks ten times a second with a new connection each, until /tmp/probe-stop is there. A request that
# failed is made again at once; one that failed again has failed. Counts are in /tmp/probe-NAME, failures with their
# moment in /tmp/probe-NAME.log.
name=$1 url=$2
asked=0 again=0 failed=0
: > "/tmp/probe-$name.log"
ask() { curl -q -sSk --noproxy '*' --max-time 3 -o /dev/null -w '%{http_code} %{time_total}' "$url" 2>&1; }
while [ ! -e /tmp/probe-stop ]; do
  begun=$(date +%s%3N)
  asked=$((asked + 1))
  said=$(ask)
  case $said in
    200*) ;;
    *)
      again=$((again + 1))
      echo "$(date +%T.%3N) retried: $said" >> "/tmp/probe-$name.log"
      said=$(ask)
      case $said in
        200*) ;;
        *)
          failed=$((failed + 1))
          echo "$(date +%T.%3N) failed: $said" >> "/tmp/probe-$name.log"
          ;;
      esac
      ;;
  esac
  echo "asked $asked retried $again failed $failed" > "/tmp/probe-$name.new"
  mv "/tmp/probe-$name.new" "/tmp/probe-$name"
  left=$((begun + 100 - $(date +%s%3N)))
  if [ "$left" -gt 0 ]; then sleep "0.$(printf %03d "$left")"; fi
done
