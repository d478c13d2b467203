# shellcheck shell=bash
# What answers on the closed network, under the public names, so that the program under test runs with its defaults.

services_start() {
  local dir=$STATE/services tls registry www
  # Sets are read here and not by the services: a missing asset is an error now.
  tls=$(asset tls) registry=$(asset registry) www=$(asset www)
  mkdir -p "$dir/tmp"
  # Several labs read the same store at once: nobody may write.
  cat > "$dir/registry.yml" << Y
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: $registry}
  maintenance: {readonly: {enabled: true}, uploadpurging: {enabled: false}}
http: {addr: "10.77.0.2:443", tls: {certificate: $tls/server.crt, key: $tls/server.key}}
Y
  cat > "$dir/nginx.conf" << Y
daemon off; user root; worker_processes 1; pid $dir/nginx.pid; error_log $dir/nginx.err;
events {}
http {
  access_log off; types {} default_type application/octet-stream; sendfile on;
  client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp; uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
  server {
    listen 10.77.0.3:80; listen 10.77.0.3:443 ssl;
    ssl_certificate $tls/server.crt; ssl_certificate_key $tls/server.key;
    root $www/pkgs;
    location /debian/ { root $www; }
  }
}
Y
  cgroup_make services
  service registry docker-registry serve "$dir/registry.yml"
  service nginx nginx -e "$dir/nginx.err" -c "$dir/nginx.conf"
  # Every other name does not exist: an answer at once, and not a time-out.
  service dns dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --no-hosts --no-resolv --pid-file= \
    --bind-interfaces --listen-address=10.77.0.1 --local=/#/ \
    --address=/registry.k8s.io/docker.io/registry-1.docker.io/auth.docker.io/10.77.0.2 \
    --address=/pkgs.k8s.io/download.docker.com/10.77.0.3
  local start=$SECONDS
  until services_answer; do
    ((SECONDS - start < 10)) || { tail -n 5 "$dir"/*.log >&2; die "the lab's services do not answer"; }
    sleep 0.1
  done
}

# service NAME COMMAND…: in the background, out of reach of this command's end
service() {
  local log=$STATE/services/$1.log
  shift
  (
    cgroup_join services $BASHPID
    unlocked exec setsid ip netns exec "$NETNS" "$@" > "$log" 2>&1 < /dev/null &
  )
}

services_answer() {
  local listening
  listening=$(in_lab ss -Hltun)
  for at in 10.77.0.1:53 10.77.0.2:443 10.77.0.3:80 10.77.0.3:443; do
    grep -q " $at " <<< "$listening" || return 1
  done
}
