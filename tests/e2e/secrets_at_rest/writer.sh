# Makes Secrets one after the other and reads each back over a connection of its own, until it is told to end. Failed is what
# failed after one immediate retry.
api=$1
cd /tmp/writer || exit 1
failed=0 at=0

ask() {
  curl -s --noproxy '*' --max-time 10 --cacert ca --cert crt --key key -o said -w '%{http_code}' "$@" > code 2> error || :
}

make() {
  ask -X POST -H 'Content-Type: application/json' \
    -d "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"written-$at\"},\"stringData\":{\"v\":\"$value\"}}" "$api"
  # The first try may have made it, and its answer got lost.
  case $(cat code) in 201 | 409) ;; *) return 1 ;; esac
}

look() {
  ask "$api/written-$at"
  [ "$(cat code)" = 200 ] && grep -q "\"v\": *\"$encoded\"" said
}

while [ ! -e stop ]; do
  at=$((at + 1))
  value=$at-$(head -c 8 /dev/urandom | od -An -tx1 | tr -d ' \n')
  encoded=$(printf %s "$value" | base64 -w0)
  if make || make; then echo "written-$at $encoded" >> made; else failed=$((failed + 1)); echo "$(date +%T) make $at $(cat code) $(head -c 300 said)" >> log; continue; fi
  look || look || { failed=$((failed + 1)); echo "$(date +%T) look $at $(cat code) $(head -c 300 said)" >> log; }
  sleep 0.2
done
echo "$failed" > ended
