# etcd.sh VERSION: etcd, etcdctl and etcdutl.
# uses: go.sh
version=$1
. "$(dirname "$0")/go.sh"

# The three modules replace one another by relative path, so each builds only as a requirement of another module.
cd "$work"
{
  echo "module lab/etcd"
  echo "go 1.23"
  for m in server etcdctl etcdutl; do echo "require go.etcd.io/etcd/$m/v3 v$version"; done
} > go.mod
{
  echo "package tools"
  for m in server etcdctl etcdutl; do echo "import _ \"go.etcd.io/etcd/$m/v3\""; done
} > tools.go
go_install "" go.etcd.io/etcd/{server,etcdctl,etcdutl}/v3
mv "$OUT/server" "$OUT/etcd"
